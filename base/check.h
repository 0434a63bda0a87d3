// SPDX-License-Identifier: MIT
// CHECK: an invariant that stays on in release builds; a broken one ends the process at once.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace portcullis {

[[noreturn]] inline void check_failed(const char* what, const char* file, int line) noexcept {
  std::fprintf(stderr, "portcullis: %s:%d: invariant broken: %s\n", file, line, what);
  std::abort();
}

}  // namespace portcullis

#define PORTCULLIS_CHECK(condition)                               \
  do {                                                            \
    if (!(condition)) [[unlikely]] {                              \
      ::portcullis::check_failed(#condition, __FILE__, __LINE__); \
    }                                                             \
  } while (false)
