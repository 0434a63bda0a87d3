// SPDX-License-Identifier: MIT
// The objects of the cluster that policies speak of: Namespace, Pod, Node. Only what decides about
// traffic is decoded; a dump holds much more, which is passed over.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "policy/manifest/decode.h"

namespace portcullis::policy {
namespace {

const Path kRoot{};

/// A map inside an object; a null value where there is none.
const Value& section(const Value* value) {
  static const Value kNothing{};
  return value != nullptr ? *value : kNothing;
}

std::string string_field(Report& report, Fields& fields, const Path& path, std::string_view name) {
  const Value* value = fields.take(name);
  if (value == nullptr) {
    return {};
  }
  return std::string(as_string(report, *value, path.child(name)).value_or(std::string_view()));
}

void add_address(Report& report,
                 const Value& value,
                 const Path& path,
                 std::vector<IpAddress>& addresses) {
  const auto text = as_string(report, value, path);
  if (!text || text->empty()) {
    return;
  }
  const auto address = parse_ip(*text);
  if (!address) {
    report.invalid(
        value.mark, path, *text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
  } else if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
    addresses.push_back(*address);
  }
}

/// The addresses of a list of {ip: ...}, or the single one where the list is empty.
std::vector<IpAddress> decode_addresses(Report& report,
                                        Fields& status,
                                        const Path& path,
                                        std::string_view list_name,
                                        std::string_view single_name) {
  std::vector<IpAddress> out;
  if (const Value* list = status.take(list_name)) {
    for_each_item(
        report, *list, path.child(list_name), [&](const Value& item, const Path& item_path) {
          Fields fields(report, item, item_path);
          if (const Value* ip = fields.take("ip")) {
            add_address(report, *ip, item_path.child("ip"), out);
          }
        });
  }
  if (const Value* single = status.take(single_name); single != nullptr && out.empty()) {
    add_address(report, *single, path.child(single_name), out);
  }
  return out;
}

void decode_container_port(Report& report,
                           const Value& item,
                           const Path& path,
                           std::vector<ContainerPort>& out) {
  Fields fields(report, item, path);
  ContainerPort port;
  const Value* name = fields.take("name");
  if (name != nullptr) {
    const Path name_path = path.child("name");
    const auto text = as_string(report, *name, name_path);
    if (text && !text->empty()) {
      for (const std::string& objection : objections_to_port_name(*text)) {
        report.invalid(name->mark, name_path, *text, objection);
      }
      port.name = *text;
    }
  }
  const auto protocol = decode_protocol(report, fields.take("protocol"), path.child("protocol"));
  const Path number_path = path.child("containerPort");
  const Value* number = fields.take("containerPort");
  if (number == nullptr) {
    report.required(item.mark, number_path);
    return;
  }
  const auto value = as_int32(report, *number, number_path);
  if (!value || !protocol) {
    return;
  }
  for (const std::string& objection : objections_to_port_number(*value)) {
    report.error(
        number->mark, number_path, fmt::format("Invalid value: {}: {}", *value, objection));
    return;
  }
  port.protocol = *protocol;
  port.number = static_cast<std::uint16_t>(*value);
  out.push_back(std::move(port));
}

/// Adds the ports of one list of containers. `sidecars_only`: of those that restart always, as
/// init containers do that run beside the others.
void decode_containers(Report& report,
                       const Value* containers,
                       const Path& path,
                       bool sidecars_only,
                       std::vector<ContainerPort>& out) {
  if (containers == nullptr) {
    return;
  }
  for_each_item(report, *containers, path, [&](const Value& item, const Path& item_path) {
    Fields fields(report, item, item_path);
    if (sidecars_only && string_field(report, fields, item_path, "restartPolicy") != "Always") {
      return;
    }
    const Value* ports = fields.take("ports");
    if (ports == nullptr) {
      return;
    }
    const auto first = static_cast<std::ptrdiff_t>(out.size());
    for_each_item(
        report, *ports, item_path.child("ports"), [&](const Value& port, const Path& port_path) {
          const std::size_t before = out.size();
          decode_container_port(report, port, port_path, out);
          if (out.size() == before || out.back().name.empty()) {
            return;
          }
          const auto twin =
              std::find_if(out.begin() + first, out.end() - 1, [&](const ContainerPort& other) {
                return other.name == out.back().name;
              });
          if (twin != out.end() - 1) {
            report.error(port.mark,
                         port_path.child("name"),
                         fmt::format("Duplicate value: \"{}\"", out.back().name));
          }
        });
  });
}

void decode_pod_spec(Report& report, const Value& spec, const Path& path, Pod& out) {
  Fields fields(report, spec, path);
  out.node = string_field(report, fields, path, "nodeName");
  if (const Value* host_network = fields.take("hostNetwork")) {
    out.host_network = as_bool(report, *host_network, path.child("hostNetwork")).value_or(false);
  }
  decode_containers(report, fields.take("containers"), path.child("containers"), false, out.ports);
  decode_containers(
      report, fields.take("initContainers"), path.child("initContainers"), true, out.ports);
}

void decode_pod_status(Report& report, const Value& status, const Path& path, Pod& out) {
  Fields fields(report, status, path);
  const std::string phase = string_field(report, fields, path, "phase");
  out.terminated = phase == "Succeeded" || phase == "Failed";
  out.addresses = decode_addresses(report, fields, path, "podIPs", "podIP");
  out.host_addresses = decode_addresses(report, fields, path, "hostIPs", "hostIP");
}

/// status.addresses: addresses by type; names (Hostname, InternalDNS, ...) are none of ours.
std::vector<IpAddress> decode_node_addresses(Report& report, const Value* list, const Path& path) {
  std::vector<IpAddress> out;
  if (list == nullptr) {
    return out;
  }
  for_each_item(report, *list, path, [&](const Value& item, const Path& item_path) {
    Fields fields(report, item, item_path);
    const std::string type = string_field(report, fields, item_path, "type");
    const Value* address = fields.take("address");
    if (address != nullptr && (type == "InternalIP" || type == "ExternalIP")) {
      add_address(report, *address, item_path.child("address"), out);
    }
  });
  return out;
}

void decode_pod_cidr(Report& report,
                     const Value& value,
                     const Path& path,
                     std::vector<Prefix>& out) {
  const auto text = as_string(report, value, path);
  if (!text || text->empty()) {
    return;
  }
  if (const auto prefix = parse_prefix(*text)) {
    out.push_back(*prefix);
  } else {
    report.invalid(
        value.mark, path, *text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
  }
}

}  // namespace

Namespace decode_namespace(Report& report, const Value& object) {
  Metadata metadata = decode_metadata(report,
                                      object,
                                      {.kind = "Namespace",
                                       .namespaced = false,
                                       .objections_to_name = objections_to_dns_label,
                                       .unknown_field = Diagnostic::Severity::warning});
  return {std::move(metadata.name), std::move(metadata.labels), report.where(object.mark)};
}

Pod decode_pod(Report& report, const Value& object) {
  Metadata metadata = decode_metadata(report,
                                      object,
                                      {.kind = "Pod",
                                       .objections_to_name = objections_to_dns_subdomain,
                                       .unknown_field = Diagnostic::Severity::warning});
  Pod out;
  out.name = std::move(metadata.name);
  out.name_space = std::move(metadata.name_space);
  out.labels = std::move(metadata.labels);
  out.where = report.where(object.mark);
  Fields fields(report, object, kRoot);
  decode_pod_spec(report, section(fields.take("spec")), kRoot.child("spec"), out);
  decode_pod_status(report, section(fields.take("status")), kRoot.child("status"), out);
  return out;
}

Node decode_node(Report& report, const Value& object) {
  Metadata metadata = decode_metadata(report,
                                      object,
                                      {.kind = "Node",
                                       .namespaced = false,
                                       .objections_to_name = objections_to_dns_subdomain,
                                       .unknown_field = Diagnostic::Severity::warning});
  Node out;
  out.name = std::move(metadata.name);
  out.labels = std::move(metadata.labels);
  out.where = report.where(object.mark);
  Fields fields(report, object, kRoot);
  const Path spec_path = kRoot.child("spec");
  Fields spec(report, section(fields.take("spec")), spec_path);
  if (const Value* list = spec.take("podCIDRs")) {
    for_each_item(
        report, *list, spec_path.child("podCIDRs"), [&](const Value& item, const Path& item_path) {
          decode_pod_cidr(report, item, item_path, out.pod_cidrs);
        });
  }
  if (const Value* single = spec.take("podCIDR"); single != nullptr && out.pod_cidrs.empty()) {
    decode_pod_cidr(report, *single, spec_path.child("podCIDR"), out.pod_cidrs);
  }
  const Path status_path = kRoot.child("status");
  Fields status(report, section(fields.take("status")), status_path);
  out.addresses =
      decode_node_addresses(report, status.take("addresses"), status_path.child("addresses"));
  return out;
}

}  // namespace portcullis::policy
