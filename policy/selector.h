// SPDX-License-Identifier: MIT
// Label selectors as apimachinery's Requirement.Matches has them (NotIn holds for a missing key).
// Thread: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "policy/model.h"

namespace portcullis::policy {

/// The value of a label, or nullptr where the key is missing. REQUIRES: labels sorted by key.
const std::string* find_label(const Labels& labels, std::string_view key);

/// True when the labels meet one requirement, or every requirement of a selector.
bool matches(const Requirement& requirement, const Labels& labels);
bool matches(const Selector& selector, const Labels& labels);

}  // namespace portcullis::policy
