// SPDX-License-Identifier: MIT
// JSON text -> Tree, as kubectl prints it: one value, or several one after the other.
// Thread: any, one tree each.
#pragma once

#include <optional>
#include <string_view>

#include "policy/manifest/tree.h"

namespace portcullis::policy {

/// How a text failed to be JSON. Many a YAML document begins with '{' too, so only a limit is the
/// last word; otherwise read_yaml() may still make sense of it.
struct JsonProblem {
  Problem problem;
  bool limit = false;
};

/// Reads every value of `text`, strictly by RFC 8259 (but a lone surrogate reads as U+FFFD, as in
/// Go). The tree refers to `text`, which must outlive it.
/// Errors:  the first thing that is no JSON or beyond a limit; the tree is then of no use.
/// Cost:    one pass, no recursion.
std::optional<JsonProblem> read_json(std::string_view text, Tree& tree);

}  // namespace portcullis::policy
