// SPDX-License-Identifier: MIT
// metav1.LabelSelector.
#include <string>

#include "policy/decode.h"

namespace portcullis::policy {
namespace {

std::optional<Requirement::Operator> operator_of(std::string_view name) {
  using enum Requirement::Operator;
  if (name == "In") {
    return in;
  }
  if (name == "NotIn") {
    return not_in;
  }
  if (name == "Exists") {
    return exists;
  }
  if (name == "DoesNotExist") {
    return does_not_exist;
  }
  return std::nullopt;
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

void decode_requirement(Report& report, const Value& item, const Path& path, Selector& out) {
  Fields fields(report, item, path);
  Requirement requirement;
  const Path key_path = path.child("key");
  const Value* key = fields.take("key");
  const auto key_text =
      key != nullptr ? as_string(report, *key, key_path) : std::optional<std::string_view>("");
  if (key_text) {
    for (const std::string& objection : objections_to_label_key(*key_text)) {
      report.invalid(key != nullptr ? key->mark : item.mark, key_path, *key_text, objection);
    }
    requirement.key = *key_text;
  }
  const Path operator_path = path.child("operator");
  const Value* name = fields.take("operator");
  const auto name_text = name != nullptr ? as_string(report, *name, operator_path)
                                         : std::optional<std::string_view>("");
  const auto op = name_text ? operator_of(*name_text) : std::nullopt;
  if (name_text && !op) {
    report.invalid(name != nullptr ? name->mark : item.mark,
                   operator_path,
                   *name_text,
                   "not a valid selector operator: use In, NotIn, Exists or DoesNotExist");
  }
  const Path values_path = path.child("values");
  const Value* values = fields.take("values");
  check_values(report, values, values_path, requirement);
  fields.refuse_rest();
  if (!op) {
    return;
  }
  requirement.op = *op;
  const bool wants_values =
      *op == Requirement::Operator::in || *op == Requirement::Operator::not_in;
  const std::size_t given = values != nullptr && !values->is_scalar() ? values->size : 0;
  if (wants_values && given == 0) {
    report.required(values != nullptr ? values->mark : item.mark,
                    values_path,
                    "must be specified when `operator` is 'In' or 'NotIn'");
  } else if (!wants_values && given > 0) {
    report.error(values->mark,
                 values_path,
                 "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  }
  out.requirements.push_back(std::move(requirement));
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
