// SPDX-License-Identifier: MIT
// The cluster that the soak changes: pods and policies at random, out of few names, as text.
// Thread: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace portcullis::control {

using Random = std::mt19937_64;

/// How many pods and policies there are names for.
inline constexpr std::size_t kPods = 24;
inline constexpr std::size_t kPolicies = 8;

/// "namespace/name".
std::string pod_name(std::size_t pod);
std::string policy_name(std::size_t policy);
/// A pod has one pair of addresses, of IPv4 and IPv6, or the other; no two pods share one.
std::string address_v4(std::size_t pod, bool other);
std::string address_v6(std::size_t pod, bool other);
/// Ports that policies name, and one that none does.
const std::vector<std::uint16_t>& ports();

/// As manifests have them. Any two pods are fit to be in one cluster, and so are policies.
nlohmann::json any_pod(std::size_t pod, Random& random);
nlohmann::json any_policy(std::size_t policy, Random& random);
/// The text of a manifest of these objects.
std::string text_of(const nlohmann::json& objects);
/// A whole cluster: its namespaces, and some of the pods and policies.
std::string any_cluster(Random& random);

}  // namespace portcullis::control
