// SPDX-License-Identifier: MIT
// Static rules of the configuration, as the classifier takes them.
// Thread: pure function.
#pragma once

#include <vector>

#include "config/config.h"
#include "policy/lower.h"

namespace portcullis::control {

/// In their order; one without a name is called by its number.
std::vector<policy::NamedStaticRule> static_rules_of(const config::Config& config);

}  // namespace portcullis::control
