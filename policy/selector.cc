// SPDX-License-Identifier: MIT
#include "policy/selector.h"

#include <algorithm>

namespace portcullis::policy {

const std::string* find_label(const Labels& labels, std::string_view key) {
  const auto found = std::lower_bound(
      labels.begin(), labels.end(), key, [](const auto& label, std::string_view wanted) {
        return std::string_view(label.first) < wanted;
      });
  return found != labels.end() && found->first == key ? &found->second : nullptr;
}

bool matches(const Requirement& requirement, const Labels& labels) {
  const std::string* value = find_label(labels, requirement.key);
  const auto listed = [&] {
    return std::find(requirement.values.begin(), requirement.values.end(), *value) !=
           requirement.values.end();
  };
  switch (requirement.op) {
    case Requirement::Operator::in:
      return value != nullptr && listed();
    case Requirement::Operator::not_in:
      return value == nullptr || !listed();
    case Requirement::Operator::exists:
      return value != nullptr;
    case Requirement::Operator::does_not_exist:
      return value == nullptr;
  }
  return false;
}

bool matches(const Selector& selector, const Labels& labels) {
  return std::all_of(selector.requirements.begin(),
                     selector.requirements.end(),
                     [&](const Requirement& requirement) { return matches(requirement, labels); });
}

}  // namespace portcullis::policy
