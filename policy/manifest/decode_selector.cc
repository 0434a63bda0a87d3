// SPDX-License-Identifier: MIT
// metav1.LabelSelector.
#include <array>
#include <string>
#include <utility>

#include "policy/manifest/decode.h"

namespace portcullis::policy {
namespace {

/// False if it is no operator.
bool read_operator(std::string_view name, Requirement::Operator& out) {
  using enum Requirement::Operator;
  constexpr std::array<std::pair<std::string_view, Requirement::Operator>, 4> kOperators = {
      {{"In", in}, {"NotIn", not_in}, {"Exists", exists}, {"DoesNotExist", does_not_exist}}};
  for (const auto& [known, op] : kOperators) {
    if (known == name) {
      out = op;
      return true;
    }
  }
  return false;
}

/// A string that an absent field leaves empty, as the API server's zero value.
std::optional<std::string_view> string_or_empty(Report& report,
                                                const Value* value,
                                                const Path& path) {
  return value != nullptr ? as_string(report, *value, path) : std::string_view();
}

void check_values(Report& report, const Value* values, const Path& path, Requirement& out) {
  if (values == nullptr) {
    return;
  }
  for_each_item(report, *values, path, [&](const Value& item, const Path& item_path) {
    if (const auto text = as_string(report, item, item_path)) {
      for (const std::string& objection : objections_to_label_value(*text)) {
        report.invalid(item.mark, item_path, *text, objection);
      }
      out.values.emplace_back(*text);
    }
  });
}

/// False if the requirement has no operator to go by.
bool decode_operator(
    Report& report, Fields& fields, Mark mark, const Path& path, Requirement::Operator& out) {
  const Value* name = fields.take("operator");
  const auto text = string_or_empty(report, name, path);
  if (text && read_operator(*text, out)) {
    return true;
  }
  if (text) {
    report.invalid(name != nullptr ? name->mark : mark,
                   path,
                   *text,
                   "not a valid selector operator: use In, NotIn, Exists or DoesNotExist");
  }
  return false;
}

/// In and NotIn need values, the others must have none.
void check_value_count(
    Report& report, const Value* values, Mark mark, const Path& path, Requirement::Operator op) {
  using enum Requirement::Operator;
  const bool given = values != nullptr && values->kind == Value::Kind::sequence && values->size > 0;
  if ((op == in || op == not_in) && !given) {
    report.required(values != nullptr ? values->mark : mark,
                    path,
                    "must be specified when `operator` is 'In' or 'NotIn'");
  } else if ((op == exists || op == does_not_exist) && given) {
    report.error(values->mark,
                 path,
                 "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  }
}

void decode_requirement(Report& report, const Value& item, const Path& path, Selector& out) {
  Fields fields(report, item, path);
  Requirement requirement;
  const Path key_path = path.child("key");
  const Value* key = fields.take("key");
  if (const auto text = string_or_empty(report, key, key_path)) {
    for (const std::string& objection : objections_to_label_key(*text)) {
      report.invalid(key != nullptr ? key->mark : item.mark, key_path, *text, objection);
    }
    requirement.key = *text;
  }
  const bool has_operator =
      decode_operator(report, fields, item.mark, path.child("operator"), requirement.op);
  const Path values_path = path.child("values");
  const Value* values = fields.take("values");
  check_values(report, values, values_path, requirement);
  fields.refuse_rest();
  if (has_operator) {
    check_value_count(report, values, item.mark, values_path, requirement.op);
    out.requirements.push_back(std::move(requirement));
  }
}

}  // namespace

Selector decode_selector(Report& report, const Value& value, const Path& path) {
  Selector out;
  Fields fields(report, value, path);
  if (const Value* labels = fields.take("matchLabels")) {
    for (auto& [key, text] : decode_labels(report, *labels, path.child("matchLabels"))) {
      out.requirements.push_back({key, Requirement::Operator::in, {text}});
    }
  }
  if (const Value* expressions = fields.take("matchExpressions")) {
    for_each_item(report,
                  *expressions,
                  path.child("matchExpressions"),
                  [&](const Value& item, const Path& item_path) {
                    decode_requirement(report, item, item_path, out);
                  });
  }
  fields.refuse_rest([](std::string_view field) -> std::string_view {
    if (field == "podSelector" || field == "namespaceSelector" || field == "ipBlock") {
      return "an item of from or to, beside this one";
    }
    return {};
  });
  return out;
}

}  // namespace portcullis::policy
