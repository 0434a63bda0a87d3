// SPDX-License-Identifier: MIT
// What a lookup could cost at best: the loads it cannot do without, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "classifier/key.h"
#include "classifier/table.h"

namespace portcullis::bench {

/// Loads of a permit that depend on each other or on the key: two classes, row, cell, line.
inline constexpr unsigned kPermitLoads = 5;

/// Bytes of the cache lines that permit() reads of the table for these keys.
std::size_t touched_bytes(const classifier::Table& table, std::span<const classifier::Key4> keys);

/// Million lookups a second, each of `loads` dependent loads at random places of `bytes` bytes, 64
/// of them under way together; the better of scalar loads and the widest gathers here.
double floor_mlps(unsigned loads, std::size_t bytes);

}  // namespace portcullis::bench
