// SPDX-License-Identifier: MIT
// PodIndex: finds the pods that a selector picks without looking at all of them.
// Thread: immutable after construction. Owner: the pods and namespaces must outlive it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/model.h"

namespace portcullis::policy {

/// Positions in the list of pods that the index was built on, ascending.
using Positions = std::vector<std::uint32_t>;

class PodIndex {
 public:
  /// REQUIRES: `pods` sorted by namespace, so that each namespace is one run of positions.
  PodIndex(std::span<const Pod* const> pods, std::span<const Namespace> namespaces);

  /// The pods of one namespace that a selector picks.
  [[nodiscard]] Positions select(const std::string& name_space, const Selector& selector) const;
  /// The pods that one peer item of a policy in `name_space` picks.
  [[nodiscard]] Positions select(const std::string& name_space, const PodPeer& peer) const;

 private:
  struct Run {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    const std::string* name = nullptr;
    const Labels* labels = nullptr;  // Null without a Namespace object: none.
  };
  struct Key {
    Positions pods;  // That have the key at all.
    std::unordered_map<std::string_view, Positions> by_value;
  };

  void select_in(const Run& run, const Selector& selector, Positions& picked) const;
  [[nodiscard]] bool narrow(const Run& run, const Selector& selector, Positions& out) const;

  std::span<const Pod* const> pods_;
  std::vector<Run> runs_;
  std::unordered_map<std::string_view, std::uint32_t> run_of_;
  std::unordered_map<std::string_view, Key> keys_;
};

}  // namespace portcullis::policy
