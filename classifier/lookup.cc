// SPDX-License-Identifier: MIT
#include "classifier/lookup.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>

#include <fmt/format.h>

#include "base/limits.h"
#include "base/log.h"
#include "classifier/kernel/kernels.h"

namespace portcullis::classifier {
namespace {

/// In order of preference, best first.
#if defined(__x86_64__)
constexpr std::array kKernels{&kAvx512Kernel, &kAvx2Kernel, &kScalarKernel};
#else
constexpr std::array kKernels{&kScalarKernel};
#endif

const KernelEntry* best_kernel() {
  const auto runs_here = [](const KernelEntry* kernel) { return supported(kernel->isa); };
  return *std::ranges::find_if(kKernels, runs_here);
}

Result<const KernelEntry*> kernel_for(Isa isa) {
  if (!supported(isa)) {
    return fail(fmt::format(
        "this processor lacks {}; the best it has is {}", to_string(isa), to_string(best_isa())));
  }
  const auto found = std::ranges::find(kKernels, isa, &KernelEntry::isa);
  if (found == kKernels.end()) {
    return fail(fmt::format("no {} kernel is built; the best there is is {}",
                            to_string(isa),
                            to_string(best_kernel()->isa)));
  }
  return *found;
}

/// What PORTCULLIS_ISA asks for, else the best.
const KernelEntry* kernel_at_start() {
  const char* wanted = std::getenv("PORTCULLIS_ISA");  // Before main: nothing else runs yet.
  if (wanted == nullptr || *wanted == '\0') {
    return best_kernel();
  }
  const auto kernel = parse_isa(wanted).and_then(kernel_for);
  if (!kernel) {
    log::warn("PORTCULLIS_ISA is not followed: {}", to_string(kernel.error()));
    return best_kernel();
  }
  return *kernel;
}

/// Written at start and by force_isa() only, before any worker starts.
std::atomic<const KernelEntry*> current_kernel{kernel_at_start()};

const KernelEntry& kernel() noexcept {
  return *current_kernel.load(std::memory_order_relaxed);
}

/// Asks burst by burst, while the keys of the next one are on their way to the cache.
template <typename Key, typename Answer>
void in_bursts(void (*ask)(const TableView&, const Key*, std::size_t, Answer*) noexcept,
               const Table& table,
               std::span<const Key> keys,
               std::span<Answer> answers) noexcept {
  constexpr std::size_t kKeysPerLine = std::max<std::size_t>(1, 64 / sizeof(Key));
  for (std::size_t i = 0; i < keys.size(); i += limits::kBurstMax) {
    const std::size_t n = std::min(limits::kBurstMax, keys.size() - i);
    const std::size_t end = std::min(i + 2 * limits::kBurstMax, keys.size());
    for (std::size_t next = i + limits::kBurstMax; next < end; next += kKeysPerLine) {
      __builtin_prefetch(&keys[next]);
    }
    ask(table.view(), keys.data() + i, n, answers.data() + i);
  }
}

}  // namespace

void lookup(const Table& table, std::span<const Key4> keys, std::span<Verdict> verdicts) noexcept {
  in_bursts(kernel().lookup_v4, table, keys, verdicts);
}
void lookup(const Table& table, std::span<const Key6> keys, std::span<Verdict> verdicts) noexcept {
  in_bursts(kernel().lookup_v6, table, keys, verdicts);
}
void permit(const Table& table, std::span<const Key4> keys, std::span<Permit> permits) noexcept {
  in_bursts(kernel().permit_v4, table, keys, permits);
}
void permit(const Table& table, std::span<const Key6> keys, std::span<Permit> permits) noexcept {
  in_bursts(kernel().permit_v6, table, keys, permits);
}

Verdict lookup(const Table& table, const Flow& flow) noexcept {
  Verdict verdict;
  if (flow.src.family == Family::v4) {
    const Key4 key = key4_of(flow);
    kernel().lookup_v4(table.view(), &key, 1, &verdict);
  } else {
    const Key6 key = key6_of(flow);
    kernel().lookup_v6(table.view(), &key, 1, &verdict);
  }
  return verdict;
}

Result<void> force_isa(Isa isa) {
  PORTCULLIS_TRY(const KernelEntry* forced, kernel_for(isa));
  current_kernel.store(forced, std::memory_order_relaxed);
  return {};
}

Isa current_isa() noexcept {
  return kernel().isa;
}

}  // namespace portcullis::classifier
