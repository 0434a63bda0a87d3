// SPDX-License-Identifier: MIT
// Keys that nest too deep for toml++ 3.3, which frees tables by recursion, one step a level, and
// does not bound dotted keys. Thread: any; pure function.
#pragma once

#include <string_view>

namespace portcullis::config {

/// True when a key of the text has more than 32 dots; none of ours has.
bool has_endless_key(std::string_view text);

}  // namespace portcullis::config
