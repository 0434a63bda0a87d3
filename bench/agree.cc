// SPDX-License-Identifier: MIT
#include "bench/agree.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace portcullis::bench {
namespace {

using classifier::Key4;

std::vector<std::uint32_t> answers_of(Contestant& contestant,
                                      std::span<const Key4> keys,
                                      std::uint32_t bits) {
  contestant.load(keys);
  std::vector<std::uint32_t> answers;
  for (std::size_t first = 0; first < keys.size(); first += kKeysPerCall) {
    const std::size_t count = std::min(kKeysPerCall, keys.size() - first);
    contestant.classify(first, count);
    for (std::size_t i = 0; i < count; ++i) {
      answers.push_back(contestant.answer(i) & bits);
    }
  }
  return answers;
}

bool is_slow(const Contestant& contestant) {
  return contestant.keys_per_call() < kKeysPerCall;
}

Result<void> same_answers(const std::string& where,
                          std::span<Entry* const> entries,
                          std::span<const Key4> keys,
                          std::uint32_t bits) {
  if (entries.empty()) {
    return {};
  }
  const auto first = answers_of(*entries.front()->contestant, keys, bits);
  for (Entry* const entry : entries.subspan(1)) {
    const auto other = answers_of(*entry->contestant, keys, bits);
    const auto [a, b] = std::ranges::mismatch(first, other);
    if (a != first.end()) {
      const Key4& key = keys[static_cast<std::size_t>(a - first.begin())];
      return fail(
          fmt::format("{}: {} says {} and {} says {} of {} -> {}, protocol {}, port {} to {}",
                      where,
                      entries.front()->name,
                      *a,
                      entry->name,
                      *b,
                      to_string(IpAddress::from_v4(key.src)),
                      to_string(IpAddress::from_v4(key.dst)),
                      key.protocol,
                      key.src_port,
                      key.dst_port));
    }
  }
  return {};
}

}  // namespace

Result<void> agree(const std::string& where, std::span<Entry> entries, const Agreement& agreement) {
  const auto& keys = agreement.keys;
  const std::size_t count = std::min(agreement.sample, keys.size());
  std::vector<Key4> sample;
  for (std::size_t i = 0; i < count; ++i) {
    sample.push_back(keys[i * (keys.size() / count)]);
  }
  std::vector<Entry*> all;
  std::vector<Entry*> fast;
  for (Entry& entry : entries) {
    all.push_back(&entry);
    if (!is_slow(*entry.contestant)) {
      fast.push_back(&entry);
    }
  }
  PORTCULLIS_TRY_VOID(same_answers(where, all, sample, agreement.bits));
  return same_answers(
      where, fast, keys.first(std::min(agreement.first, keys.size())), agreement.bits);
}

}  // namespace portcullis::bench
