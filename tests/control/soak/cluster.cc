// SPDX-License-Identifier: MIT
#include "tests/control/soak/cluster.h"

#include <array>

#include <fmt/format.h>

namespace portcullis::control {
namespace {

using nlohmann::json;

constexpr std::array kNamespaces{"shop", "bank"};
constexpr std::array kApps{"web", "db", "cache", "job"};

const char* name_space(std::size_t number) {
  return kNamespaces.at(number % kNamespaces.size());
}

bool one_in(std::uint64_t n, Random& random) {
  return random() % n == 0;
}

json any_selector(Random& random) {
  if (one_in(4, random)) {
    return json::object();
  }
  return {{"matchLabels", {{"app", kApps.at(random() % kApps.size())}}}};
}

json any_peer(Random& random) {
  switch (random() % 4) {
    case 0:
      return {{"ipBlock",
               {{"cidr", one_in(2, random) ? "10.0.0.0/23" : "10.0.0.0/25"},
                {"except", json::array({"10.0.0.4/30"})}}}};
    case 1:
      return {{"namespaceSelector",
               {{"matchLabels", {{"kubernetes.io/metadata.name", name_space(random())}}}}}};
    case 2:
      return {{"namespaceSelector", json::object()}, {"podSelector", any_selector(random)}};
    default:
      return {{"podSelector", any_selector(random)}};
  }
}

/// Of one direction, whose peers are called `from` or `to`.
json any_rules(const char* peers, Random& random) {
  json rules = json::array();
  for (std::uint64_t i = random() % 3; i > 0; --i) {
    json rule = json::object();
    for (std::uint64_t n = random() % 3; n > 0; --n) {
      rule[peers].push_back(any_peer(random));
    }
    for (std::uint64_t n = random() % 3; n > 0; --n) {
      rule["ports"].push_back({{"port", ports()[random() % (ports().size() - 1)]},
                               {"protocol", one_in(2, random) ? "TCP" : "UDP"}});
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace

std::string pod_name(std::size_t pod) {
  return fmt::format("{}/pod-{}", name_space(pod), pod);
}

std::string policy_name(std::size_t policy) {
  return fmt::format("{}/policy-{}", name_space(policy), policy);
}

std::string address_v4(std::size_t pod, bool other) {
  return fmt::format("10.0.{}.{}", other ? 1 : 0, pod + 1);
}

std::string address_v6(std::size_t pod, bool other) {
  return fmt::format("fd00::{}:{:x}", other ? 1 : 0, pod + 1);
}

const std::vector<std::uint16_t>& ports() {
  static const std::vector<std::uint16_t> kList{53, 80, 443, 8080};
  return kList;
}

json any_pod(std::size_t pod, Random& random) {
  const bool other = one_in(4, random);
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata",
           {{"name", fmt::format("pod-{}", pod)},
            {"namespace", name_space(pod)},
            {"labels", {{"app", kApps.at(random() % kApps.size())}}}}},
          {"spec", {{"nodeName", "n1"}}},
          {"status",
           {{"podIP", address_v4(pod, other)},
            {"podIPs",
             json::array({{{"ip", address_v4(pod, other)}}, {{"ip", address_v6(pod, other)}}})}}}};
}

json any_policy(std::size_t policy, Random& random) {
  json spec = {{"podSelector", any_selector(random)}, {"policyTypes", json::array()}};
  const std::uint64_t directions = random() % 3;
  if (directions != 1) {
    spec["policyTypes"].push_back("Ingress");
    spec["ingress"] = any_rules("from", random);
  }
  if (directions != 2) {
    spec["policyTypes"].push_back("Egress");
    spec["egress"] = any_rules("to", random);
  }
  return {
      {"apiVersion", "networking.k8s.io/v1"},
      {"kind", "NetworkPolicy"},
      {"metadata", {{"name", fmt::format("policy-{}", policy)}, {"namespace", name_space(policy)}}},
      {"spec", std::move(spec)}};
}

std::string text_of(const json& objects) {
  return json{{"apiVersion", "v1"}, {"kind", "List"}, {"items", objects}}.dump(1);
}

std::string any_cluster(Random& random) {
  json objects = json::array();
  for (const char* name : kNamespaces) {
    objects.push_back(
        {{"apiVersion", "v1"},
         {"kind", "Namespace"},
         {"metadata", {{"name", name}, {"labels", {{"kubernetes.io/metadata.name", name}}}}}});
  }
  for (std::size_t pod = 0; pod < kPods; ++pod) {
    if (!one_in(4, random)) {
      objects.push_back(any_pod(pod, random));
    }
  }
  for (std::size_t policy = 0; policy < kPolicies; ++policy) {
    if (one_in(2, random)) {
      objects.push_back(any_policy(policy, random));
    }
  }
  return text_of(objects);
}

}  // namespace portcullis::control
