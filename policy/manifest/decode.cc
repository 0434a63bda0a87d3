// SPDX-License-Identifier: MIT
#include "policy/manifest/decode.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "classifier/key.h"
#include "policy/manifest/scalar.h"

namespace portcullis::policy {
namespace {

constexpr std::string_view kNetworkingGroup = "networking.k8s.io/";
constexpr std::string_view kNetworkingV1 = "networking.k8s.io/v1";
constexpr std::string_view kPolicyGroup = "policy.networking.k8s.io/";

/// The kinds the API server knows in the two groups where a slip of the pen would cost enforcement.
constexpr std::array<std::string_view, 19> kCoreKinds = {"Binding",
                                                         "ComponentStatus",
                                                         "ConfigMap",
                                                         "Endpoints",
                                                         "Event",
                                                         "LimitRange",
                                                         "List",
                                                         "Namespace",
                                                         "Node",
                                                         "PersistentVolume",
                                                         "PersistentVolumeClaim",
                                                         "Pod",
                                                         "PodTemplate",
                                                         "ReplicationController",
                                                         "ResourceQuota",
                                                         "Secret",
                                                         "Service",
                                                         "ServiceAccount",
                                                         "Status"};
constexpr std::array<std::string_view, 5> kNetworkingKinds = {
    "IPAddress", "Ingress", "IngressClass", "NetworkPolicy", "ServiceCIDR"};

struct TypeName {
  std::string_view api_version;
  std::string_view kind;
};

const Path kRoot{};

template <typename Kinds>
bool is_one_of(const Kinds& kinds, std::string_view kind) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

bool ends_with_network_policy(std::string_view kind) {
  constexpr std::string_view kSuffix = "networkpolicy";
  return kind.size() >= kSuffix.size() &&
         std::equal(kSuffix.begin(),
                    kSuffix.end(),
                    kind.end() - static_cast<std::ptrdiff_t>(kSuffix.size()),
                    [](char a, char b) { return a == (b | 0x20); });
}

/// Reads apiVersion and kind; `implied` is what an item of a typed list need not say.
std::optional<TypeName> type_of(Report& report, const Value& object, TypeName implied) {
  TypeName type = implied;
  bool known = true;
  for (const auto& [field, part] :
       {std::pair{"apiVersion", &type.api_version}, std::pair{"kind", &type.kind}}) {
    const Path path = kRoot.child(field);
    if (const Value* value = find(object, field); value != nullptr) {
      const auto text = as_string(report, *value, path);
      known = known && text;
      if (text && !text->empty()) {
        *part = *text;
      }
      if (!text) {
        continue;
      }
    }
    if (part->empty()) {
      report.required(object.mark, path, fmt::format("{} not set", field));
      known = false;
    }
  }
  return known ? std::optional(type) : std::nullopt;
}

/// An error if the kind does not exist, or restricts traffic in a way nobody here enforces.
bool refuse_kind(Report& report, const Value& object, TypeName type) {
  const Value* kind = find(object, "kind");
  const Mark mark = kind != nullptr ? kind->mark : object.mark;
  const Path path = kRoot.child("kind");
  const std::string no_match = fmt::format("no matches for kind \"{}\" in version \"{}\"",
                                           excerpt(type.kind),
                                           excerpt(type.api_version));
  if (type.api_version.starts_with(kPolicyGroup)) {
    report.error(mark,
                 path,
                 fmt::format("{} of {} is not enforced yet, and nothing may be silently "
                             "unenforced: remove it, or write it as a NetworkPolicy of {}",
                             excerpt(type.kind),
                             excerpt(type.api_version),
                             kNetworkingV1));
    return true;
  }
  if (ends_with_network_policy(type.kind)) {
    if (type.kind == "NetworkPolicy" && type.api_version == kNetworkingV1) {
      return false;
    }
    report.error(mark,
                 path,
                 fmt::format("{}: only NetworkPolicy of {} is enforced, and nothing may be "
                             "silently unenforced",
                             no_match,
                             kNetworkingV1));
    return true;
  }
  const bool core = type.api_version.find('/') == std::string_view::npos;
  const bool networking = type.api_version.starts_with(kNetworkingGroup);
  const bool known = core ? type.api_version == "v1" && is_one_of(kCoreKinds, type.kind)
                          : !networking || is_one_of(kNetworkingKinds, type.kind);
  if (!known) {
    const std::string_view near =
        core ? nearest_word(type.kind, {kCoreKinds.begin(), kCoreKinds.end()})
             : nearest_word(type.kind, {kNetworkingKinds.begin(), kNetworkingKinds.end()});
    report.error(mark,
                 path,
                 near.empty() || near == type.kind
                     ? no_match
                     : fmt::format("{}; did you mean \"{}\"?", no_match, near));
  }
  return !known;
}

void decode_object(Report& report, const Value& object, TypeName implied, Snapshot& snapshot);

/// Items of a list; those of a typed list need not name their type.
void decode_list(Report& report, const Value& list, TypeName type, Snapshot& snapshot) {
  type.kind.remove_suffix(std::string_view("List").size());
  const TypeName implied = type.kind.empty() ? TypeName{} : type;
  Fields fields(report, list, kRoot);
  const Value* items = fields.take("items");
  fields.ignore({"apiVersion", "kind", "metadata"});
  fields.refuse_rest();
  if (items == nullptr) {
    return;
  }
  const Path path = kRoot.child("items");
  for_each_item(report, *items, path, [&](const Value& item, const Path& item_path) {
    report.set_object({});
    if (is_map(report, item, item_path)) {
      decode_object(report, item, implied, snapshot);
    }
  });
}

void decode_object(Report& report, const Value& object, TypeName implied, Snapshot& snapshot) {
  const auto type = type_of(report, object, implied);
  if (!type) {
    return;
  }
  // "List" itself, or a typed list: every kind that ends so and has items.
  if (type->kind.ends_with("List") && (type->kind == "List" || find(object, "items") != nullptr)) {
    decode_list(report, object, *type, snapshot);
    return;
  }
  if (refuse_kind(report, object, *type)) {
    return;
  }
  const bool core = type->api_version == "v1";
  if (core && type->kind == "Pod") {
    snapshot.pods.push_back(decode_pod(report, object));
  } else if (core && type->kind == "Namespace") {
    snapshot.namespaces.push_back(decode_namespace(report, object));
  } else if (core && type->kind == "Node") {
    snapshot.nodes.push_back(decode_node(report, object));
  } else if (type->kind == "NetworkPolicy" && type->api_version == kNetworkingV1) {
    snapshot.policies.push_back(decode_network_policy(report, object));
  } else {
    ++snapshot.skipped[fmt::format("{}/{}", excerpt(type->api_version), excerpt(type->kind))];
  }
}

}  // namespace

void decode_document(Report& report, const Value& root, Snapshot& snapshot) {
  report.set_object({});
  if (root.kind == Value::Kind::null) {
    return;
  }
  if (root.kind != Value::Kind::mapping) {
    report.error(root.mark,
                 kRoot,
                 type_mismatch(root, "object") + ": a manifest begins with apiVersion and kind");
    return;
  }
  decode_object(report, root, {}, snapshot);
  report.set_object({});
}

std::optional<std::uint8_t> decode_protocol(Report& report, const Value* value, const Path& path) {
  if (value == nullptr) {
    return classifier::kProtocolTcp;
  }
  const auto name = as_string(report, *value, path);
  if (!name) {
    return std::nullopt;
  }
  if (*name == "TCP") {
    return classifier::kProtocolTcp;
  }
  if (*name == "UDP") {
    return classifier::kProtocolUdp;
  }
  if (*name == "SCTP") {
    return classifier::kProtocolSctp;
  }
  report.unsupported(value->mark, path, *name, {"TCP", "UDP", "SCTP"});
  return std::nullopt;
}

}  // namespace portcullis::policy
