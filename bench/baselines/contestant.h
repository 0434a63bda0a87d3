// SPDX-License-Identifier: MIT
// What every way to classify looks like to the benchmark, ours and its rivals.
// Thread: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/classbench/filters.h"
#include "classifier/key.h"

namespace portcullis::bench {

/// Keys that are handed over in one call, so that answers stay in the first cache.
inline constexpr std::size_t kKeysPerCall = 1024;

/// A rule of one of up to two lists that are asked at once. Of the rules that hold a key, each list
/// gives the answer of the one of highest priority; rules of equal priority have equal answers.
struct ListedRule {
  FilterRule rule;
  std::uint32_t priority = 0;
  std::uint32_t answer = 0;  // Not 0.
  std::uint8_t list = 0;
};

struct RuleLists {
  std::vector<ListedRule> rules;
  std::uint8_t lists = 1;
  std::uint32_t unmatched = 0;  // A list's answer to a key that none of its rules holds.
};

/// What a contestant says about itself beside its rate. Nothing where it does not apply.
struct Facts {
  std::size_t bytes = 0;
  std::optional<std::size_t> rules;       // Plain rules it was given.
  std::optional<std::size_t> identities;  // Groups of addresses it tells apart.
  std::optional<double> touched_kb;       // Cache lines that the trace reads.
};

class Contestant {
 public:
  virtual ~Contestant() = default;

  [[nodiscard]] virtual Facts facts() const = 0;

  /// Takes the keys to come, in the form it likes best. Not measured. They outlive it.
  virtual void load(std::span<const classifier::Key4> keys) = 0;
  /// Classifies `count` keys from `first`. Answers are kept until the next call.
  /// REQUIRES: first + count within the loaded keys; count <= kKeysPerCall.
  virtual void classify(std::size_t first, std::size_t count) = 0;
  /// The answers of all lists to the i-th key of the last call, and-ed together.
  [[nodiscard]] virtual std::uint32_t answer(std::size_t i) const = 0;
  /// Keys a call should have: fewer where one takes long.
  [[nodiscard]] virtual std::size_t keys_per_call() const { return kKeysPerCall; }
};

/// A contestant and what it took to make it, in processor time.
struct Entry {
  std::string name;
  std::unique_ptr<Contestant> contestant;
  double build_ms = 0;
};

}  // namespace portcullis::bench
