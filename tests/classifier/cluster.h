// SPDX-License-Identifier: MIT
// A small cluster that several tests compile, and short names for its parts.
#pragma once

#include <utility>
#include <vector>

#include "classifier/crew.h"
#include "classifier/key.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

inline IpAddress ip(const char* text) {
  return parse_ip(text).value();
}
inline Prefix block(const char* text) {
  return parse_prefix(text).value();
}
inline Flow tcp(const char* src, const char* dst, std::uint16_t port) {
  return {.src = ip(src), .dst = ip(dst), .protocol = kProtocolTcp, .dst_port = port};
}
inline constexpr PortRange tcp_port(std::uint16_t port) {
  return {.protocol = kProtocolTcp, .first = port, .last = port};
}

/// A crew of the calling thread only.
inline Crew& alone() {
  static Crew crew({.threads = 1}, 0);
  return crew;
}

/// Builds a RuleSet in the order in which a test reads.
struct Cluster {
  RuleSet rules;

  EndpointIndex node(std::vector<IpAddress> addresses) {
    rules.endpoints.push_back({.kind = Endpoint::Kind::node, .addresses = std::move(addresses)});
    return static_cast<EndpointIndex>(rules.endpoints.size() - 1);
  }
  EndpointIndex pod(std::vector<IpAddress> addresses, EndpointIndex on = kNoEndpoint) {
    rules.endpoints.push_back(
        {.kind = Endpoint::Kind::workload, .node = on, .addresses = std::move(addresses)});
    return static_cast<EndpointIndex>(rules.endpoints.size() - 1);
  }
  SetIndex set(std::vector<EndpointIndex> endpoints, std::vector<Block> blocks = {}) {
    rules.sets.push_back({.endpoints = std::move(endpoints), .blocks = std::move(blocks)});
    return static_cast<SetIndex>(rules.sets.size() - 1);
  }
  SetIndex everything() {
    rules.sets.push_back({.everything = true});
    return static_cast<SetIndex>(rules.sets.size() - 1);
  }
  PortsIndex ports(std::vector<PortRange> ranges) {
    rules.port_sets.push_back({.ranges = std::move(ranges)});
    return static_cast<PortsIndex>(rules.port_sets.size() - 1);
  }
  PortsIndex every_port() {
    rules.port_sets.push_back({.everything = true});
    return static_cast<PortsIndex>(rules.port_sets.size() - 1);
  }
  /// A rule of the NetworkPolicy tier that allows ingress, unless changed afterwards.
  Rule& allow_ingress(SetIndex subjects, SetIndex peers, PortsIndex ports) {
    rules.rules.push_back({.subjects = subjects, .peers = peers, .ports = ports});
    return rules.rules.back();
  }
};

}  // namespace portcullis::classifier
