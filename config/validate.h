// SPDX-License-Identifier: MIT
// What a configuration may not say although each value by itself is well formed.
// Thread: any; pure functions.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace portcullis::config {

/// Two values that cannot both hold, or one that is missing.
struct Contradiction {
  std::string field;    // "ports.web.addresses": the value to mend, or the table that lacks it.
  std::string message;  // What is wrong and how to mend it.
};

/// All of them, in the order of the sections. Empty: the configuration can be started.
std::vector<Contradiction> validate(const Config& config);

}  // namespace portcullis::config
