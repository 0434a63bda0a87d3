// SPDX-License-Identifier: MIT
// Short words for building snapshots by hand in tests.
// Thread: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "classifier/key.h"
#include "policy/snapshot.h"

namespace portcullis::test {

/// Dies on text that is no address or block.
inline IpAddress ip(std::string_view text) {
  return parse_ip(text).value();
}
inline Prefix cidr(std::string_view text) {
  return parse_prefix(text).value();
}

inline policy::Pod pod(std::string name_space,
                       std::string name,
                       const std::vector<std::string_view>& addresses,
                       policy::Labels labels = {}) {
  policy::Pod made;
  made.name_space = std::move(name_space);
  made.name = std::move(name);
  made.labels = std::move(labels);
  for (const std::string_view address : addresses) {
    made.addresses.push_back(ip(address));
  }
  made.where = {"pods.yaml", 1, 1};
  return made;
}

inline policy::Selector with(std::string key, std::string value) {
  return {{{std::move(key), policy::Requirement::Operator::in, {std::move(value)}}}};
}

inline policy::NetworkPolicy ingress_policy(std::string name_space,
                                            std::string name,
                                            policy::Selector subjects,
                                            std::vector<policy::PolicyRule> rules = {}) {
  policy::NetworkPolicy made;
  made.name_space = std::move(name_space);
  made.name = std::move(name);
  made.subjects = std::move(subjects);
  made.isolates_ingress = true;
  made.ingress = std::move(rules);
  made.where = {"policies.yaml", 1, 1};
  return made;
}

inline policy::NetworkPolicy egress_policy(std::string name_space,
                                           std::string name,
                                           policy::Selector subjects,
                                           std::vector<policy::PolicyRule> rules = {}) {
  policy::NetworkPolicy made =
      ingress_policy(std::move(name_space), std::move(name), std::move(subjects));
  made.isolates_ingress = false;
  made.isolates_egress = true;
  made.egress = std::move(rules);
  return made;
}

inline policy::PolicyPort port(std::uint8_t protocol, std::uint16_t first, std::uint16_t last) {
  return {protocol, "", first, last};
}
inline policy::PolicyPort port(std::uint8_t protocol, std::uint16_t number) {
  return port(protocol, number, number);
}
inline policy::PolicyPort port(std::uint8_t protocol, std::string name) {
  return {protocol, std::move(name), {}, {}};
}

inline classifier::Flow flow(std::string_view src,
                             std::string_view dst,
                             std::uint8_t protocol = classifier::kProtocolTcp,
                             std::uint16_t dst_port = 80) {
  return {ip(src), ip(dst), protocol, 40'000, dst_port};
}

}  // namespace portcullis::test
