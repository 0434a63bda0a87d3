// SPDX-License-Identifier: MIT
// The second engine: a tree that cuts the plane of source and destination points, with short lists
// of rules in its leaves. It takes any rules in memory linear in their number, but a lookup goes
// down level by level.
// Thread: one.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <vector>

#include "classifier/filter/layout.h"
#include "classifier/filter/rectangle.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

struct RuleTree {
  std::vector<TreeNode> nodes;
  std::vector<RuleBlock> leaves;
};

/// `rules` in ascending order; outcomes[rule] of each static rule. Once `stop` is requested, the
/// tree means nothing.
RuleTree make_tree(std::span<const Rectangle> rules,
                   std::span<const StaticRule> static_rules,
                   std::span<const std::uint32_t> outcomes,
                   const std::stop_token& stop);

}  // namespace portcullis::classifier
