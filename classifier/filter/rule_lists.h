// SPDX-License-Identifier: MIT
// Lists of static rules that hold the same addresses, resolved by port point: which rule of the
// list is the first to match there. Lists of equal shape share it, whatever rules they name.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "classifier/compiler/intern.h"
#include "classifier/filter/layout.h"
#include "classifier/filter/port_space.h"

namespace portcullis::classifier {

class RuleLists {
 public:
  /// outcomes[rule] and matches[rule] of every rule that lists will name. Owner: the caller keeps
  /// both and the space as long as this is used.
  RuleLists(const PortSpace& space,
            std::span<const std::uint32_t> outcomes,
            std::span<const std::uint32_t> matches);

  /// The number of the list of these rules, ascending. An empty one has number 0.
  std::uint32_t place(std::span<const std::uint32_t> rules);

  [[nodiscard]] const std::vector<RuleList>& lists() const { return lists_; }
  /// 0: shapes are bytes; 1: 16 bits.
  [[nodiscard]] unsigned shape_shift() const { return outcomes_per_list_max_ > 256 ? 1 : 0; }
  [[nodiscard]] std::vector<std::byte> shape_bytes() const;
  [[nodiscard]] const std::vector<std::uint32_t>& outcomes() const {
    return outcome_words_.words();
  }
  [[nodiscard]] std::size_t bytes() const;

 private:
  void resolve(std::span<const std::uint32_t> rules);

  const PortSpace* space_;
  std::span<const std::uint32_t> outcomes_;
  std::span<const std::uint32_t> matches_;
  Intern asked_;
  std::unordered_map<std::uint32_t, std::uint32_t> list_of_asked_;
  std::unordered_map<std::uint64_t, std::uint32_t> list_of_parts_;
  std::vector<RuleList> lists_;
  Intern shapes_;  // Two cells a word.
  Intern outcome_words_;
  std::size_t outcomes_per_list_max_ = 1;

  // Room for one list.
  std::vector<std::uint64_t> open_;
  std::vector<std::uint32_t> shape_;
  std::vector<std::uint32_t> found_;
};

}  // namespace portcullis::classifier
