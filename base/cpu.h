// SPDX-License-Identifier: MIT
// Which instruction sets this processor and kernel offer, by the names users give to --isa.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace portcullis {

enum class Isa : std::uint8_t { scalar, avx2, avx512 };

/// "scalar", "avx2" or "avx512".
std::string_view to_string(Isa isa);
Result<Isa> parse_isa(std::string_view name);
/// True when the processor and the operating system can run code of this kind.
bool supported(Isa isa);
/// The most capable one supported here.
Isa best_isa();

}  // namespace portcullis
