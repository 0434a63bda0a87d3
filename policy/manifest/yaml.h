// SPDX-License-Identifier: MIT
// YAML text -> Tree, with the limits of base/limits.h on whatever a stranger may send.
// Thread: any, one tree each.
#pragma once

#include <optional>
#include <string_view>

#include "policy/manifest/tree.h"

namespace portcullis::policy {

/// Reads every document of `text` into `tree`. Nothing of `text` is referred to afterwards.
/// Errors:  the first thing that is no YAML or beyond a limit; the tree is then of no use. A key
///          given twice is no such error, it is noted in tree.duplicates.
/// Cost:    one pass, no recursion, about 60 MB/s; memory is bounded by the limits.
std::optional<Problem> read_yaml(std::string_view text, Tree& tree);

}  // namespace portcullis::policy
