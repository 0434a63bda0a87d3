// SPDX-License-Identifier: MIT
// Tells ThreadSanitizer of an order that DPDK makes where it cannot see it: fences, and atomics
// inside of libraries that are not instrumented. Nothing in other builds.
// Thread: any. What precedes a release of an address happens before what follows an acquire of it.
#pragma once

#ifdef __SANITIZE_THREAD__
extern "C" {
void __tsan_acquire(void* address);  // NOLINT(bugprone-reserved-identifier)
void __tsan_release(void* address);  // NOLINT(bugprone-reserved-identifier)
}
#endif

namespace portcullis::dataplane {

inline void tsan_acquire([[maybe_unused]] void* address) noexcept {
#ifdef __SANITIZE_THREAD__
  __tsan_acquire(address);
#endif
}

inline void tsan_release([[maybe_unused]] void* address) noexcept {
#ifdef __SANITIZE_THREAD__
  __tsan_release(address);
#endif
}

}  // namespace portcullis::dataplane
