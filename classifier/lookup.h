// SPDX-License-Identifier: MIT
// The lookup as its callers see it: chooses the kernel for this processor once, then classifies
// bursts.
#pragma once

#include <span>

#include "base/cpu.h"
#include "base/result.h"
#include "classifier/key.h"
#include "classifier/table.h"
#include "classifier/verdict.h"

namespace portcullis::classifier {

/// Classifies a burst of keys against one compiled table.
/// Shapes:  keys[n], verdicts[n]; any n.
/// Errors:  none; every key gets the verdict that Reference would give.
/// Cost:    no allocation, no lock, no system call. Thread: any, Table is immutable.
void lookup(const Table& table, std::span<const Key4> keys, std::span<Verdict> verdicts) noexcept;
void lookup(const Table& table, std::span<const Key6> keys, std::span<Verdict> verdicts) noexcept;

/// Says of keys only whether they are allowed: the same answers, about three times as fast. A
/// Permit holds the classes, from which the rules can be found.
/// Shapes, errors, cost and thread as lookup().
void permit(const Table& table, std::span<const Key4> keys, std::span<Permit> permits) noexcept;
void permit(const Table& table, std::span<const Key6> keys, std::span<Permit> permits) noexcept;

/// lookup() for one flow of either family (control path).
Verdict lookup(const Table& table, const Flow& flow) noexcept;

/// Chooses the kernel by name for the whole process; PORTCULLIS_ISA does the same at start.
/// Errors: this processor lacks it, or no such kernel is built. Call before any worker starts.
Result<void> force_isa(Isa isa);
/// The kernel in use.
Isa current_isa() noexcept;

}  // namespace portcullis::classifier
