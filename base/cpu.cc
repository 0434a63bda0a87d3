// SPDX-License-Identifier: MIT
#include "base/cpu.h"

#include <fmt/format.h>

namespace portcullis {

std::string_view to_string(Isa isa) {
  switch (isa) {
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::scalar:
      break;
  }
  return "scalar";
}

Result<Isa> parse_isa(std::string_view name) {
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    if (name == to_string(isa)) {
      return isa;
    }
  }
  return fail(fmt::format("'{}' is no instruction set; use scalar, avx2 or avx512", name));
}

bool supported(Isa isa) {
  __builtin_cpu_init();
  switch (isa) {
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi2") != 0;
    case Isa::avx512:
      return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
             __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0;
    case Isa::scalar:
      break;
  }
  return true;
}

Isa best_isa() {
  if (supported(Isa::avx512)) {
    return Isa::avx512;
  }
  return supported(Isa::avx2) ? Isa::avx2 : Isa::scalar;
}

}  // namespace portcullis
