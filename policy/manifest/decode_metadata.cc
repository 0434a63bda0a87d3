// SPDX-License-Identifier: MIT
// metadata: names, labels, annotations.
#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "policy/manifest/decode.h"
#include "policy/manifest/scalar.h"

namespace portcullis::policy {
namespace {

constexpr std::size_t kAnnotationBytesMax = 256U << 10U;

void object_to(Report& report,
               const Value& value,
               const Path& path,
               std::string_view text,
               const Objections& objections) {
  for (const std::string& objection : objections) {
    report.invalid(value.mark, path, text, objection);
  }
}

/// A string field without complaint, for naming the object before anything can be wrong with it.
std::string_view peek(const Value* metadata, std::string_view field) {
  const Value* value = metadata != nullptr ? find(*metadata, field) : nullptr;
  return value != nullptr && value->kind == Value::Kind::string ? value->text()
                                                                : std::string_view();
}

std::string title_of(const KindRules& rules, const Value* metadata) {
  std::string_view name = peek(metadata, "name");
  if (name.empty()) {
    name = peek(metadata, "generateName");
  }
  if (!rules.namespaced || name.empty()) {
    return fmt::format("{} {}", rules.kind, name.empty() ? "without a name" : excerpt(name));
  }
  const std::string_view name_space = peek(metadata, "namespace");
  return fmt::format(
      "{} {}/{}", rules.kind, name_space.empty() ? "default" : excerpt(name_space), excerpt(name));
}

std::string decode_name(
    Report& report, Fields& fields, Mark mark, const KindRules& rules, const Path& path) {
  std::string generated;
  const Path generate_path = path.child("generateName");
  if (const Value* value = fields.take("generateName")) {
    generated = as_string(report, *value, generate_path).value_or("");
    if (!generated.empty()) {
      // A prefix may end in '-', since something will follow.
      std::string sample = generated;
      if (sample.back() == '-') {
        sample.back() = 'a';
      }
      object_to(report, *value, generate_path, generated, rules.objections_to_name(sample));
    }
  }
  const Path name_path = path.child("name");
  const Value* value = fields.take("name");
  const auto name =
      value != nullptr ? as_string(report, *value, name_path) : std::optional<std::string_view>("");
  if (name && name->empty() && generated.empty()) {
    report.required(
        value != nullptr ? value->mark : mark, name_path, "name or generateName is required");
  }
  if (name && !name->empty()) {
    object_to(report, *value, name_path, *name, rules.objections_to_name(*name));
    return std::string(*name);
  }
  return generated.empty() ? std::string() : generated + "*";
}

std::string decode_namespace_name(Report& report,
                                  Fields& fields,
                                  const KindRules& rules,
                                  const Path& parent) {
  const Path path = parent.child("namespace");
  const Value* value = fields.take("namespace");
  const auto text = value != nullptr ? as_string(report, *value, path) : std::nullopt;
  if (!rules.namespaced) {
    if (text && !text->empty()) {
      report.error(value->mark, path, "Forbidden: not allowed on this type");
    }
    return {};
  }
  if (!text || text->empty()) {
    return "default";
  }
  object_to(report, *value, path, *text, objections_to_dns_label(*text));
  return std::string(*text);
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  });
  return out;
}

void check_annotations(Report& report, const Value& annotations, const Path& path) {
  if (!is_map(report, annotations, path)) {
    return;
  }
  std::size_t bytes = 0;
  for (const Value* key = annotations.child(); key != nullptr; key = key->next->next) {
    const auto text = as_string(report, *key->next, path);
    object_to(report, *key, path, key->text(), objections_to_label_key(lower_case(key->text())));
    bytes += key->size + (text ? text->size() : 0);
  }
  if (bytes > kAnnotationBytesMax) {
    report.error(annotations.mark,
                 path,
                 fmt::format("Too long: may not be more than {} bytes", kAnnotationBytesMax));
  }
}

}  // namespace

Labels decode_labels(Report& report, const Value& labels, const Path& path) {
  Labels out;
  if (!is_map(report, labels, path)) {
    return out;
  }
  out.reserve(labels.size);
  for (const Value* key = labels.child(); key != nullptr; key = key->next->next) {
    const Value& value = *key->next;
    object_to(report, *key, path, key->text(), objections_to_label_key(key->text()));
    if (value.kind == Value::Kind::null) {
      report.warning(value.mark,
                     path,
                     fmt::format("\"{}\" has no value and counts as the empty string: write \"\"",
                                 excerpt(key->text())));
    }
    if (const auto text = as_string(report, value, path)) {
      object_to(report, value, path, *text, objections_to_label_value(*text));
      out.emplace_back(key->text(), *text);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

Metadata decode_metadata(Report& report, const Value& object, const KindRules& rules) {
  const Value* metadata = find(object, "metadata");
  report.set_object(title_of(rules, metadata));
  static const Value kNothing{};
  const Path root;
  const Path path = root.child("metadata");
  Fields fields(report, metadata != nullptr ? *metadata : kNothing, path);
  Metadata out;
  const bool wrong_type =
      metadata != nullptr && metadata->is_scalar() && metadata->kind != Value::Kind::null;
  if (wrong_type || (metadata != nullptr && metadata->kind == Value::Kind::sequence)) {
    return out;  // Said already.
  }
  out.name =
      decode_name(report, fields, metadata != nullptr ? metadata->mark : object.mark, rules, path);
  out.name_space = decode_namespace_name(report, fields, rules, path);
  if (const Value* labels = fields.take("labels")) {
    out.labels = decode_labels(report, *labels, path.child("labels"));
  }
  if (const Value* annotations = fields.take("annotations")) {
    check_annotations(report, *annotations, path.child("annotations"));
  }
  fields.ignore({"creationTimestamp",
                 "deletionGracePeriodSeconds",
                 "deletionTimestamp",
                 "finalizers",
                 "generation",
                 "managedFields",
                 "ownerReferences",
                 "resourceVersion",
                 "selfLink",
                 "uid"});
  fields.refuse_rest(nullptr, rules.unknown_field);
  return out;
}

}  // namespace portcullis::policy
