// SPDX-License-Identifier: MIT
// Which instruction sets this processor and kernel offer, by the names users give to --isa; and
// which processors a thread runs on.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"

namespace portcullis {

enum class Isa : std::uint8_t { scalar, avx2, avx512 };

/// The calling thread, and those it makes from now on, run on these processors only.
/// Errors: one of them is not there, or not for this process.
Result<void> stay_on(std::span<const std::uint32_t> cpus);

/// "scalar", "avx2" or "avx512".
std::string_view to_string(Isa isa);
Result<Isa> parse_isa(std::string_view name);
/// True when the processor and the operating system can run code of this kind.
bool supported(Isa isa);
/// The most capable one supported here.
Isa best_isa();

}  // namespace portcullis
