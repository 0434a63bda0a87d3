// SPDX-License-Identifier: MIT
// The kernels that are built, one object file each, as lookup chooses between them.
#pragma once

#include <cstddef>

#include "base/cpu.h"
#include "classifier/key.h"
#include "classifier/layout.h"
#include "classifier/verdict.h"

namespace portcullis::classifier {

/// Shapes: keys[n], verdicts[n], permits[n]; n <= kBurstMax.
struct KernelEntry {
  Isa isa = Isa::scalar;
  void (*lookup_v4)(const TableView&, const Key4*, std::size_t n, Verdict*) noexcept = nullptr;
  void (*lookup_v6)(const TableView&, const Key6*, std::size_t n, Verdict*) noexcept = nullptr;
  void (*permit_v4)(const TableView&, const Key4*, std::size_t n, Permit*) noexcept = nullptr;
  void (*permit_v6)(const TableView&, const Key6*, std::size_t n, Permit*) noexcept = nullptr;
};

extern const KernelEntry kScalarKernel;
#if defined(__x86_64__)
extern const KernelEntry kAvx2Kernel;
extern const KernelEntry kAvx512Kernel;
#endif

}  // namespace portcullis::classifier
