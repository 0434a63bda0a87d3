// SPDX-License-Identifier: MIT
// networking.k8s.io/v1 NetworkPolicy.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "policy/manifest/decode.h"

namespace portcullis::policy {
namespace {

/// Where a field of a NetworkPolicy belongs, for one that stands in the wrong place: misplaced, it
/// would widen what the policy allows.
std::string_view home_of(std::string_view field) {
  struct Home {
    std::string_view field;
    std::string_view home;
  };
  static constexpr Home kHomes[] = {
      {"podSelector", "spec, or in an item of from or to"},
      {"namespaceSelector", "an item of from or to"},
      {"ipBlock", "an item of from or to"},
      {"cidr", "ipBlock"},
      {"except", "ipBlock"},
      {"from", "an item of spec.ingress"},
      {"to", "an item of spec.egress"},
      {"ports", "an item of spec.ingress or spec.egress, beside from or to"},
      {"port", "an item of ports"},
      {"endPort", "an item of ports"},
      {"protocol", "an item of ports"},
      {"ingress", "spec"},
      {"egress", "spec"},
      {"policyTypes", "spec"},
      {"matchLabels", "a selector, such as podSelector"},
      {"matchExpressions", "a selector, such as podSelector"},
      {"labels", "metadata"},
      {"annotations", "metadata"},
      {"name", "metadata"},
      {"namespace", "metadata"},
  };
  const auto* found = std::find_if(std::begin(kHomes), std::end(kHomes), [field](const Home& home) {
    return home.field == field;
  });
  return found != std::end(kHomes) ? found->home : std::string_view();
}

std::optional<Prefix> decode_cidr(Report& report, const Value& value, const Path& path) {
  const auto text = as_string(report, value, path);
  if (!text) {
    return std::nullopt;
  }
  bool sloppy = false;
  const auto prefix = parse_prefix(*text, &sloppy);
  if (!prefix) {
    report.invalid(
        value.mark, path, *text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    return std::nullopt;
  }
  if (sloppy) {
    report.warning(value.mark,
                   path,
                   fmt::format("\"{}\" is read as {}: write that", *text, to_string(*prefix)));
  }
  return *prefix;
}

std::optional<classifier::Block> decode_block(Report& report,
                                              const Value& value,
                                              const Path& path) {
  Fields fields(report, value, path);
  const Path cidr_path = path.child("cidr");
  const Path except_path = path.child("except");
  const Value* cidr = fields.take("cidr");
  const Value* except = fields.take("except");
  fields.refuse_rest(home_of);
  if (cidr == nullptr || (cidr->kind == Value::Kind::string && cidr->text().empty())) {
    report.required(cidr != nullptr ? cidr->mark : value.mark, cidr_path);
    return std::nullopt;
  }
  const auto prefix = decode_cidr(report, *cidr, cidr_path);
  classifier::Block block{prefix.value_or(Prefix{}), {}};
  if (except != nullptr) {
    for_each_item(report, *except, except_path, [&](const Value& item, const Path& item_path) {
      const auto hole = decode_cidr(report, item, item_path);
      if (!hole || !prefix) {
        return;
      }
      if (!prefix->contains(*hole) || hole->length == prefix->length) {
        report.invalid(item.mark, item_path, item.text(), "must be a strict subset of `cidr`");
        return;
      }
      block.except.push_back(*hole);
    });
  }
  return prefix ? std::optional(std::move(block)) : std::nullopt;
}

std::optional<Peer> decode_peer(Report& report, const Value& item, const Path& path) {
  Fields fields(report, item, path);
  const Value* pods = fields.take("podSelector");
  const Value* namespaces = fields.take("namespaceSelector");
  const Value* block = fields.take("ipBlock");
  fields.refuse_rest(home_of);
  const bool selects = pods != nullptr || namespaces != nullptr;
  PodPeer peer;
  if (pods != nullptr) {
    peer.pods = decode_selector(report, *pods, path.child("podSelector"));
  }
  if (namespaces != nullptr) {
    peer.namespaces = decode_selector(report, *namespaces, path.child("namespaceSelector"));
  }
  std::optional<classifier::Block> addresses;
  if (block != nullptr) {
    addresses = decode_block(report, *block, path.child("ipBlock"));
  }
  if (block != nullptr && selects) {
    report.error(
        item.mark,
        path,
        "Forbidden: may not specify both ipBlock and another peer; make two items of them");
    return std::nullopt;
  }
  if (block == nullptr && !selects) {
    report.required(item.mark,
                    path,
                    "must specify a peer: podSelector, namespaceSelector or ipBlock ({} selects "
                    "everything)");
    return std::nullopt;
  }
  if (block != nullptr) {
    return addresses ? std::optional<Peer>(std::move(*addresses)) : std::nullopt;
  }
  return peer;
}

/// `port`: a number into first, a name into name. False if it is neither.
bool decode_port_value(Report& report, const Value& value, const Path& path, PolicyPort& out) {
  if (value.kind == Value::Kind::string) {
    out.name = value.text();
    for (const std::string& objection : objections_to_port_name(value.text())) {
      const bool quoted_number =
          !out.name.empty() && out.name.find_first_not_of("0123456789") == std::string::npos;
      report.invalid(value.mark,
                     path,
                     value.text(),
                     quoted_number ? objection + "; a port number must not be quoted" : objection);
    }
    return true;
  }
  const auto number = as_int32(report, value, path);
  if (!number) {
    return false;
  }
  for (const std::string& objection : objections_to_port_number(*number)) {
    report.error(value.mark, path, fmt::format("Invalid value: {}: {}", *number, objection));
    return false;
  }
  out.first = static_cast<std::uint16_t>(*number);
  out.last = out.first;
  return true;
}

void decode_end_port(
    Report& report, const Value& value, const Path& path, const Value* port, PolicyPort& out) {
  const auto end = as_int32(report, value, path);
  if (!end) {
    return;
  }
  const auto object = [&](std::string_view objection) {
    report.error(value.mark, path, fmt::format("Invalid value: {}: {}", *end, objection));
  };
  if (port == nullptr) {
    object("may not be specified when `port` is not specified");
    return;
  }
  if (port->kind == Value::Kind::string) {
    object("may not be specified when `port` is non-numeric");
    return;
  }
  const auto start = port->integer();
  if (start && *end < *start) {
    object("must be greater than or equal to `port`");
  }
  const Objections objections = objections_to_port_number(*end);
  for (const std::string& objection : objections) {
    object(objection);
  }
  if (objections.empty() && out.first) {
    out.last = static_cast<std::uint16_t>(*end);
  }
}

PolicyPort decode_policy_port(Report& report, const Value& item, const Path& path) {
  Fields fields(report, item, path);
  PolicyPort out;
  const Path protocol_path = path.child("protocol");
  out.protocol =
      decode_protocol(report, fields.take("protocol"), protocol_path).value_or(std::uint8_t{0});
  const Value* port = fields.take("port");
  if (port != nullptr) {
    decode_port_value(report, *port, path.child("port"), out);
  }
  if (const Value* end = fields.take("endPort")) {
    decode_end_port(report, *end, path.child("endPort"), port, out);
  }
  fields.refuse_rest(home_of);
  return out;
}

PolicyRule decode_rule(Report& report,
                       const Value& item,
                       const Path& path,
                       std::string_view peers_field) {
  Fields fields(report, item, path);
  PolicyRule out;
  out.where = report.where(item.mark);
  if (item.kind == Value::Kind::null) {
    report.warning(item.mark, path, "an empty item allows everything: write {} if that is meant");
  }
  if (const Value* ports = fields.take("ports")) {
    for_each_item(
        report, *ports, path.child("ports"), [&](const Value& port, const Path& port_path) {
          out.ports.push_back(decode_policy_port(report, port, port_path));
        });
  }
  if (const Value* peers = fields.take(peers_field)) {
    for_each_item(
        report, *peers, path.child(peers_field), [&](const Value& peer, const Path& peer_path) {
          if (auto decoded = decode_peer(report, peer, peer_path)) {
            out.peers.push_back(std::move(*decoded));
          }
        });
  }
  fields.refuse_rest(home_of);
  return out;
}

std::vector<PolicyRule> decode_rules(Report& report,
                                     const Value* rules,
                                     const Path& path,
                                     std::string_view peers_field) {
  std::vector<PolicyRule> out;
  if (rules != nullptr) {
    for_each_item(report, *rules, path, [&](const Value& item, const Path& item_path) {
      out.push_back(decode_rule(report, item, item_path, peers_field));
    });
  }
  return out;
}

/// policyTypes, or what stands for it: Ingress always, Egress where there are egress rules.
void decode_policy_types(Report& report, const Value* types, const Path& path, NetworkPolicy& out) {
  if (types == nullptr || (types->kind == Value::Kind::sequence && types->size == 0)) {
    out.isolates_ingress = true;
    out.isolates_egress = !out.egress.empty();
    return;
  }
  if (types->kind == Value::Kind::sequence && types->size > 2) {
    report.error(types->mark, path, "Invalid value: may not specify more than two policyTypes");
    return;
  }
  for_each_item(report, *types, path, [&](const Value& item, const Path& item_path) {
    const auto name = as_string(report, item, item_path);
    if (name == "Ingress") {
      out.isolates_ingress = true;
    } else if (name == "Egress") {
      out.isolates_egress = true;
    } else if (name) {
      report.unsupported(item.mark, item_path, *name, {"Ingress", "Egress"});
    }
  });
  if (!out.isolates_ingress && !out.ingress.empty()) {
    report.warning(types->mark, path, "spec.ingress has no effect: Ingress is not listed here");
  }
  if (!out.isolates_egress && !out.egress.empty()) {
    report.warning(types->mark, path, "spec.egress has no effect: Egress is not listed here");
  }
}

void decode_spec(Report& report, const Value& spec, const Path& path, NetworkPolicy& out) {
  Fields fields(report, spec, path);
  if (const Value* subjects = fields.take("podSelector")) {
    out.subjects = decode_selector(report, *subjects, path.child("podSelector"));
  }
  out.ingress = decode_rules(report, fields.take("ingress"), path.child("ingress"), "from");
  out.egress = decode_rules(report, fields.take("egress"), path.child("egress"), "to");
  decode_policy_types(report, fields.take("policyTypes"), path.child("policyTypes"), out);
  fields.refuse_rest(home_of);
}

}  // namespace

NetworkPolicy decode_network_policy(Report& report, const Value& object) {
  Metadata metadata = decode_metadata(
      report, object, {.kind = "NetworkPolicy", .objections_to_name = objections_to_dns_subdomain});
  NetworkPolicy out;
  out.name = std::move(metadata.name);
  out.name_space = std::move(metadata.name_space);
  out.where = report.where(object.mark);
  const Path root;
  Fields fields(report, object, root);
  static const Value kNothing{};
  const Value* spec = fields.take("spec");
  decode_spec(report, spec != nullptr ? *spec : kNothing, root.child("spec"), out);
  fields.ignore({"apiVersion", "kind", "metadata", "status"});
  fields.refuse_rest(home_of);
  return out;
}

}  // namespace portcullis::policy
