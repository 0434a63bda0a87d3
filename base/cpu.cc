// SPDX-License-Identifier: MIT
#include "base/cpu.h"

#include <sched.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

Result<void> stay_on(std::span<const std::uint32_t> cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const std::uint32_t cpu : cpus) {
    if (cpu >= CPU_SETSIZE) {
      return fail(fmt::format("there is no processor {}", cpu));
    }
    CPU_SET(cpu, &set);
  }
  // The system leaves out what is not there; all of them are wanted.
  cpu_set_t got;
  CPU_ZERO(&got);
  if (sched_setaffinity(0, sizeof set, &set) != 0 || sched_getaffinity(0, sizeof got, &got) != 0 ||
      CPU_EQUAL(&set, &got) == 0) {
    return fail(
        fmt::format("this process may not use every one of processors {}", fmt::join(cpus, ", ")));
  }
  return {};
}

Isa best_isa() {
  if (supported(Isa::avx512)) {
    return Isa::avx512;
  }
  return supported(Isa::avx2) ? Isa::avx2 : Isa::scalar;
}

}  // namespace portcullis
