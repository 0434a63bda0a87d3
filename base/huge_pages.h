// SPDX-License-Identifier: MIT
// Memory that asks for huge pages: where accesses go everywhere in megabytes, pages of 4 KiB cost a
// walk of the page table nearly each time.
// Thread: any.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <vector>

#include <sys/mman.h>

#include "base/check.h"

namespace portcullis {

/// An allocator. Memory of a huge page or more begins on one and asks for them, a wish that the
/// kernel may not grant; less begins on a cache line. Out of memory ends the program.
template <typename T>
struct HugePages {
  using value_type = T;
  static constexpr std::size_t kLine = 64;
  static constexpr std::size_t kPage = std::size_t{2} << 20U;

  HugePages() = default;
  template <typename U>
  HugePages(const HugePages<U>& /*other*/) {}  // NOLINT(google-explicit-constructor)

  T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    const std::size_t alignment = bytes < kPage ? kLine : kPage;
    const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
    void* const memory = std::aligned_alloc(alignment, whole);
    PORTCULLIS_CHECK(memory != nullptr);
    if (alignment == kPage) {
      static_cast<void>(madvise(memory, whole, MADV_HUGEPAGE));
    }
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t /*count*/) { std::free(memory); }

  friend bool operator==(const HugePages&, const HugePages&) { return true; }
};

template <typename T>
using HugeVector = std::vector<T, HugePages<T>>;

}  // namespace portcullis
