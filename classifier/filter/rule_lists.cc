// SPDX-License-Identifier: MIT
#include "classifier/filter/rule_lists.h"

#include <algorithm>
#include <bit>

namespace portcullis::classifier {

RuleLists::RuleLists(const PortSpace& space,
                     std::span<const std::uint32_t> outcomes,
                     std::span<const std::uint32_t> matches)
    : space_(&space), outcomes_(outcomes), matches_(matches) {
  resolve({});
}

std::uint32_t RuleLists::place(std::span<const std::uint32_t> rules) {
  if (rules.empty()) {
    return 0;
  }
  const std::uint32_t place = asked_.place(rules);
  if (!asked_.found()) {
    resolve(rules);
    const RuleList parts{.shape = shapes_.place(shape_) * 2,
                         .outcomes = outcome_words_.place(found_)};
    const std::uint64_t both = (std::uint64_t{parts.shape} << 32U) | parts.outcomes;
    const auto [known, added] =
        list_of_parts_.emplace(both, static_cast<std::uint32_t>(lists_.size()));
    if (added) {
      lists_.push_back(parts);
    }
    list_of_asked_.emplace(place, known->second);
  }
  return list_of_asked_.at(place);
}

/// Fills shape_ and found_: each rule takes the points of its match that are open yet.
void RuleLists::resolve(std::span<const std::uint32_t> rules) {
  open_.assign(space_->words(), ~std::uint64_t{0});
  shape_.assign((space_->points() + 1) / 2, 0);
  found_.assign(1, kNoOutcome);
  for (const std::uint32_t rule : rules) {
    const auto number = static_cast<std::uint32_t>(found_.size());
    bool any = false;
    const auto bits = space_->bits(matches_[rule]);
    for (std::size_t word = 0; word < open_.size(); ++word) {
      for (std::uint64_t hit = open_[word] & bits[word]; hit != 0; hit &= hit - 1) {
        const auto point = word * 64 + static_cast<std::size_t>(std::countr_zero(hit));
        shape_[point / 2] |= number << (point % 2 == 0 ? 0U : 16U);
        any = true;
      }
      open_[word] &= ~bits[word];
    }
    if (any) {
      found_.push_back(outcomes_[rule]);
    }
  }
  outcomes_per_list_max_ = std::max(outcomes_per_list_max_, found_.size());
  if (lists_.empty()) {
    lists_.push_back(
        {.shape = shapes_.place(shape_) * 2, .outcomes = outcome_words_.place(found_)});
  }
}

std::vector<std::byte> RuleLists::shape_bytes() const {
  std::vector<std::byte> bytes;
  bytes.reserve(shapes_.words().size() << (shape_shift() + 1));
  for (const std::uint32_t word : shapes_.words()) {
    for (const std::uint32_t cell : {word & 0xffffU, word >> 16U}) {
      bytes.push_back(static_cast<std::byte>(cell & 0xffU));
      if (shape_shift() == 1) {
        bytes.push_back(static_cast<std::byte>(cell >> 8U));
      }
    }
  }
  return bytes;
}

std::size_t RuleLists::bytes() const {
  return lists_.size() * sizeof(RuleList) + (shapes_.words().size() << (shape_shift() + 1)) +
         outcome_words_.bytes();
}

}  // namespace portcullis::classifier
