// SPDX-License-Identifier: MIT
// The entry of a kernel: its stages one after another.
#pragma once

#include <cstddef>

#include "classifier/kernel/kernels.h"
#include "classifier/kernel/permit.h"

namespace portcullis::classifier {

template <Kernel K, typename Key>
void lookup_burst(const TableView& table,
                  const Key* keys,
                  std::size_t n,
                  Verdict* verdicts) noexcept {
  KeyBurst<K> burst;
  ClassStage<K>::run(table, keys, n, burst);
  WalkStage<K>::run(table, burst, keys, n, verdicts);
}

template <Kernel K, typename Key>
void permit_burst(const TableView& table,
                  const Key* keys,
                  std::size_t n,
                  Permit* permits) noexcept {
  KeyBurst<K> burst;
  ClassStage<K>::run(table, keys, n, burst);
  PermitStage<K>::run(table, burst, keys, n, permits);
}

template <Kernel K>
constexpr KernelEntry entry_of(Isa isa) {
  return {.isa = isa,
          .lookup_v4 = lookup_burst<K, Key4>,
          .lookup_v6 = lookup_burst<K, Key6>,
          .permit_v4 = permit_burst<K, Key4>,
          .permit_v6 = permit_burst<K, Key6>};
}

}  // namespace portcullis::classifier
