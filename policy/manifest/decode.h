// SPDX-License-Identifier: MIT
// Tree -> model: objects of the API, validated and defaulted as the API server would, every
// objection with its place. One file per part: decode (kinds and lists), decode_metadata,
// decode_selector, decode_policy, decode_cluster (namespaces, pods, nodes).
// Thread: one.
// Source: docs/policy_semantics.md §7.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/manifest/fields.h"
#include "policy/manifest/tree.h"
#include "policy/manifest/validate.h"
#include "policy/model.h"
#include "policy/snapshot.h"

namespace portcullis::policy {

/// Decodes one document: an object, or a list of objects. Objects of unrelated kinds are counted
/// in snapshot.skipped; of kinds that would restrict traffic and are not enforced: an error.
/// An object that has errors is added too, so that errors between objects can be found as well.
void decode_document(Report& report, const Value& root, Snapshot& snapshot);

/// What is particular to a kind's metadata.
struct KindRules {
  std::string_view kind;
  bool namespaced = true;
  Objections (*objections_to_name)(std::string_view name) = nullptr;
  /// Whether an unknown field of metadata is an error or a warning.
  Diagnostic::Severity unknown_field = Diagnostic::Severity::error;
};

struct Metadata {
  std::string name;        // Ends in '*' where only generateName is given.
  std::string name_space;  // "default" where a namespaced object names none.
  Labels labels;
};

/// Decodes `metadata` of an object and names the object for all further diagnostics.
Metadata decode_metadata(Report& report, const Value& object, const KindRules& rules);

/// map[string]string with the rules of labels; sorted.
Labels decode_labels(Report& report, const Value& value, const Path& path);

/// Unknown fields are errors.
Selector decode_selector(Report& report, const Value& value, const Path& path);

/// TCP where `value` is null; an error and nothing where it is no protocol of the API.
std::optional<std::uint8_t> decode_protocol(Report& report, const Value* value, const Path& path);

NetworkPolicy decode_network_policy(Report& report, const Value& object);
Namespace decode_namespace(Report& report, const Value& object);
Pod decode_pod(Report& report, const Value& object);
Node decode_node(Report& report, const Value& object);

}  // namespace portcullis::policy
