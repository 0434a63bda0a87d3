// SPDX-License-Identifier: MIT
// The entry of a kernel: its stages one after another.
#pragma once

#include <cstddef>

#include "classifier/kernel/filter.h"
#include "classifier/kernel/kernels.h"
#include "classifier/kernel/permit.h"
#include "classifier/kernel/some.h"

namespace portcullis::classifier {

/// A decision of the static rules as an answer; a type of each kernel, as all that it calls.
template <Kernel K>
struct Told {
  static void tell(std::uint32_t decision, Verdict& out) { out = {{decision}, {decision}}; }
  static void tell(std::uint32_t decision, Permit& out) { out = {decision, Permit::kByStaticRule}; }
};

/// Static rules first; `ask` answers for what they leave.
template <Kernel K, typename Key, typename Answer, typename Ask>
void ask_filter_first(
    const TableView& table, const Key* keys, std::size_t n, Answer* answers, Ask ask) {
  if (!table.filtered) {
    ask(keys, n, answers);
    return;
  }
  FilterAnswers<K> decided;
  FilterStage<K>::run(table.filter, keys, n, decided);
  if (decided.undecided == KeyBurst<K>::bits(n)) {
    ask(keys, n, answers);
    return;
  }
  for (std::size_t i = 0; i < n; ++i) {
    Told<K>::tell(decided.decisions[i], answers[i]);
  }
  if (decided.undecided != 0) {
    ask_some<K, Answer>(decided.undecided, keys, ask, [answers](int i, const Answer& answer) {
      answers[i] = answer;
    });
  }
}

template <Kernel K, typename Key>
void lookup_burst(const TableView& table,
                  const Key* keys,
                  std::size_t n,
                  Verdict* verdicts) noexcept {
  const auto ask = [&table](const Key* some, std::size_t count, Verdict* out) {
    KeyBurst<K> burst;
    ClassStage<K>::run(table, some, count, burst);
    WalkStage<K>::run(table, burst, some, count, out);
  };
  ask_filter_first<K>(table, keys, n, verdicts, ask);
}

template <Kernel K, typename Key>
void permit_burst(const TableView& table,
                  const Key* keys,
                  std::size_t n,
                  Permit* permits) noexcept {
  const auto ask = [&table](const Key* some, std::size_t count, Permit* out) {
    KeyBurst<K> burst;
    ClassStage<K>::run(table, some, count, burst);
    PermitStage<K>::run(table, burst, some, count, out);
  };
  ask_filter_first<K>(table, keys, n, permits, ask);
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
