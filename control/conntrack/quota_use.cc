// SPDX-License-Identifier: MIT
#include "control/conntrack/quota_use.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace portcullis::control {
namespace {

using dataplane::FlowAnswer;
using dataplane::NamespaceFlows;
using nlohmann::json;

/// Enough for any person, and a bound on the answer.
constexpr std::size_t kShownMax = 50;

/// Of one namespace, all workers together.
struct Use {
  std::string name;
  std::uint64_t flows = 0;
  std::uint64_t flows_max = 0;
  std::uint64_t refused = 0;
  double fullest = 0;  // Share of its quota at the worker where that is largest.
};

/// Those nearest to their quota first. The workers have each a quota of their own, so it is one
/// worker that decides, not the sum.
bool is_ahead(const Use& a, const Use& b) {
  return std::tie(b.fullest, b.refused, a.name) < std::tie(a.fullest, a.refused, b.name);
}

std::vector<Use> uses_of(std::span<const FlowAnswer> answers, const NamespaceQuotas& quotas) {
  std::map<std::uint16_t, Use> by_number;
  for (const FlowAnswer& answer : answers) {
    for (const NamespaceFlows& one : answer.namespaces) {
      Use& use = by_number[one.name_space];
      use.flows += one.flows;
      use.flows_max = one.flows_max * answers.size();
      use.refused += one.refused;
      use.fullest = std::max(use.fullest,
                             static_cast<double>(one.flows) / static_cast<double>(one.flows_max));
    }
  }
  std::vector<Use> uses;
  for (auto& [number, use] : by_number) {
    if (use.flows > 0 || use.refused > 0) {
      use.name = quotas.name_of(number);
      uses.push_back(std::move(use));
    }
  }
  std::sort(uses.begin(), uses.end(), is_ahead);
  return uses;
}

}  // namespace

void add_quota_use(std::span<const FlowAnswer> answers,
                   const NamespaceQuotas* quotas,
                   json& result) {
  const std::vector<Use> uses = quotas == nullptr ? std::vector<Use>() : uses_of(answers, *quotas);
  json namespaces = json::array();
  for (const Use& use : std::span(uses).first(std::min(uses.size(), kShownMax))) {
    namespaces.push_back({{"namespace", use.name},
                          {"flows", use.flows},
                          {"flows_max", use.flows_max},
                          {"refused", use.refused},
                          {"fullest", use.fullest}});
  }
  result["namespaces"] = std::move(namespaces);
  result["namespaces_total"] = uses.size();
}

}  // namespace portcullis::control
