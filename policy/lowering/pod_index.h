// SPDX-License-Identifier: MIT
// PodIndex: finds the pods that a selector picks without looking at all of them.
// Thread: immutable after construction. Owner: the pods and namespaces must outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/model.h"

namespace portcullis::policy {

/// Positions in the list of pods that the index was built on, ascending.
using Positions = std::vector<std::uint32_t>;

/// Who has a label: numbered owners by key, and by key and value.
class LabelIndex {
 public:
  /// REQUIRES: owners come in ascending order, and their labels outlive this.
  void add(std::uint32_t owner, const Labels& labels);

  /// The owners begin..end-1 that one requirement of the selector leaves, the one that leaves the
  /// fewest. Nothing if none leaves fewer than all. `exact`: they meet the whole selector.
  struct Candidates {
    Positions owners;
    bool exact = false;
  };
  [[nodiscard]] std::optional<Candidates> narrow(std::uint32_t begin,
                                                 std::uint32_t end,
                                                 const Selector& selector) const;

 private:
  struct Key {
    Positions owners;  // That have the key at all.
    std::unordered_map<std::string_view, Positions> by_value;
  };
  /// Where a label of the owner before was put: neighbours are often labelled alike.
  struct Last {
    std::string_view key;
    std::string_view value;
    Key* of_key = nullptr;
    Positions* of_value = nullptr;
  };

  std::unordered_map<std::string_view, Key> keys_;
  std::vector<Last> last_;  // By place in the labels.
};

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
    const Labels* labels = nullptr;  // Never null; without a Namespace object: none.
  };

  void select_in(std::uint32_t begin,
                 std::uint32_t end,
                 const Selector& selector,
                 Positions& picked) const;

  std::span<const Pod* const> pods_;
  std::vector<Run> runs_;
  std::unordered_map<std::string_view, std::uint32_t> run_of_;
  LabelIndex pod_labels_;
  LabelIndex run_labels_;
};

}  // namespace portcullis::policy
