// SPDX-License-Identifier: MIT
// The kernel for AVX-512 over loops, in the place of the scalar one: what a test asks of "scalar"
// is answered by it.
#include "classifier/kernel/entry.h"
#include "tests/classifier/emulated/avx512.h"

#define kAvx512Kernel kScalarKernel
#define avx512 scalar
#include "classifier/kernel/kernel_avx512.cc"  // NOLINT(bugprone-suspicious-include)
