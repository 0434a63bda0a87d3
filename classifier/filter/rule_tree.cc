// SPDX-License-Identifier: MIT
#include "classifier/filter/rule_tree.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace portcullis::classifier {
namespace {

constexpr std::size_t kLeafRules = RuleBlock::kRules;
/// Entries that all leaves together may have, times the number of rules.
constexpr std::size_t kCopiesMax = 4;

using Indices = std::vector<std::uint32_t>;  // Into the rectangles, ascending.

struct Cut {
  std::uint32_t field = TreeNode::kLeaf;
  std::uint32_t split = 0;
};

class TreeMaker {
 public:
  TreeMaker(std::span<const Rectangle> rules,
            std::span<const StaticRule> static_rules,
            std::span<const std::uint32_t> outcomes,
            const std::stop_token& stop)
      : rules_(rules),
        static_rules_(static_rules),
        outcomes_(outcomes),
        stop_(stop),
        spare_(rules.size() * (kCopiesMax - 1)) {}

  RuleTree make() {
    // Level by level: spare copies go to the top of the tree, where they help the most.
    std::vector<std::pair<std::size_t, Indices>> level(1);
    for (std::uint32_t i = 0; i < rules_.size(); ++i) {
      level[0].second.push_back(i);
    }
    tree_.nodes.emplace_back();
    while (!level.empty()) {
      std::vector<std::pair<std::size_t, Indices>> next;
      for (auto& [node, held] : level) {
        if (stop_.stop_requested()) {
          return {};
        }
        const Cut cut = best_cut(held);
        if (cut.field == TreeNode::kLeaf) {
          make_leaf(node, held);
          continue;
        }
        auto [below, above] = parted(held, cut);
        spare_ -= below.size() + above.size() - held.size();
        const std::size_t child = tree_.nodes.size();
        tree_.nodes[node] = {
            .field = cut.field, .split = cut.split, .below = static_cast<std::uint32_t>(child)};
        tree_.nodes.resize(child + 2);
        next.emplace_back(child, std::move(below));
        next.emplace_back(child + 1, std::move(above));
      }
      level = std::move(next);
    }
    return std::move(tree_);
  }

 private:
  [[nodiscard]] const PointRun& side(std::uint32_t rule, std::uint32_t field) const {
    return field == 0 ? rules_[rule].src : rules_[rule].dst;
  }

  [[nodiscard]] std::pair<Indices, Indices> parted(const Indices& held, const Cut& cut) const {
    std::pair<Indices, Indices> parts;
    for (const std::uint32_t rule : held) {
      const PointRun& run = side(rule, cut.field);
      if (run.first < cut.split) {
        parts.first.push_back(rule);
      }
      if (run.end > cut.split) {
        parts.second.push_back(rule);
      }
    }
    return parts;
  }

  /// The cut whose larger part is smallest, or none if none makes it smaller or copies run out.
  [[nodiscard]] Cut best_cut(const Indices& held) const {
    Cut best;
    if (held.size() <= kLeafRules) {
      return best;
    }
    std::size_t best_size = held.size();
    std::vector<std::uint32_t> firsts;
    std::vector<std::uint32_t> ends;
    for (const std::uint32_t field : {0U, 1U}) {
      firsts.clear();
      ends.clear();
      for (const std::uint32_t rule : held) {
        firsts.push_back(side(rule, field).first);
        ends.push_back(side(rule, field).end);
      }
      std::ranges::sort(firsts);
      std::ranges::sort(ends);
      // Below a cut are the rules that begin before it, above it those that do not end before.
      const auto consider = [&](std::uint32_t split) {
        const auto below =
            static_cast<std::size_t>(std::ranges::lower_bound(firsts, split) - firsts.begin());
        const auto above = held.size() - static_cast<std::size_t>(
                                             std::ranges::upper_bound(ends, split) - ends.begin());
        const std::size_t larger = std::max(below, above);
        if (larger < best_size && below + above - held.size() <= spare_) {
          best_size = larger;
          best = {.field = field, .split = split};
        }
      };
      std::ranges::for_each(firsts, consider);
      std::ranges::for_each(ends, consider);
    }
    return best;
  }

  void make_leaf(std::size_t node, const Indices& held) {
    tree_.nodes[node] = {
        .field = TreeNode::kLeaf,
        .below = static_cast<std::uint32_t>(tree_.leaves.size()),
        .blocks = static_cast<std::uint32_t>((held.size() + kLeafRules - 1) / kLeafRules)};
    for (std::size_t i = 0; i < held.size(); ++i) {
      if (i % kLeafRules == 0) {
        add_empty_block();
      }
      fill(tree_.leaves.back(), i % kLeafRules, rules_[held[i]]);
    }
  }

  void add_empty_block() {
    RuleBlock& block = tree_.leaves.emplace_back();
    std::ranges::fill(block.outcome, kNoOutcome);
  }

  static void fill(RuleBlock::Range& range,
                   std::size_t at,
                   std::uint32_t first,
                   std::uint32_t last) {
    range.first[at] = first;
    range.span[at] = last - first;
  }

  void fill(RuleBlock& block, std::size_t at, const Rectangle& rectangle) const {
    const StaticRule& rule = static_rules_[rectangle.rule];
    fill(block.src, at, rectangle.src.first, rectangle.src.end - 1);
    fill(block.dst, at, rectangle.dst.first, rectangle.dst.end - 1);
    fill(block.src_port, at, rule.src_ports.first, rule.src_ports.last);
    fill(block.dst_port, at, rule.dst_ports.first, rule.dst_ports.last);
    fill(block.icmp, at, rule.icmp.first, rule.icmp.last);
    block.kind.value[at] = (std::uint32_t{rule.protocol.value_or(0)} << 8U) | rule.tcp_flags;
    block.kind.mask[at] = (rule.protocol ? 0xff00U : 0U) | rule.tcp_flags_mask;
    block.outcome[at] = outcomes_[rectangle.rule];
  }

  std::span<const Rectangle> rules_;
  std::span<const StaticRule> static_rules_;
  std::span<const std::uint32_t> outcomes_;
  const std::stop_token& stop_;
  std::size_t spare_;
  RuleTree tree_;
};

}  // namespace

RuleTree make_tree(std::span<const Rectangle> rules,
                   std::span<const StaticRule> static_rules,
                   std::span<const std::uint32_t> outcomes,
                   const std::stop_token& stop) {
  return TreeMaker(rules, static_rules, outcomes, stop).make();
}

}  // namespace portcullis::classifier
