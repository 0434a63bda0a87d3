// SPDX-License-Identifier: MIT
#include "control/conntrack/pairs.h"

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "classifier/lookup.h"
#include "control/conntrack/owners.h"
#include "control/status.h"
#include "observe/enforced.h"
#include "policy/workload.h"

namespace portcullis::control {
namespace {

using classifier::Verdict;
using dataplane::FlowGroup;
using nlohmann::json;

constexpr std::size_t kPairsShown = 20;

/// One end of a pair, in words.
struct End {
  std::string kind;
  std::string name;
  friend auto operator<=>(const End&, const End&) = default;
};

End end_of(const IpAddress& address, const Owners& owners) {
  if (const policy::Pod* const pod = owners.pod(address)) {
    const policy::Workload workload = policy::workload_of(*pod);
    return {std::string(to_string(workload.kind)), workload.name_space + "/" + workload.name};
  }
  if (const policy::Node* const node = owners.node(address)) {
    return {"Node", "node/" + node->name};
  }
  return {"Address", to_string(address)};
}

struct Pair {
  End source;
  End destination;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;  // 0 where there is none.
  friend auto operator<=>(const Pair&, const Pair&) = default;
};

struct Sum {
  std::uint64_t flows = 0;
  std::uint64_t error = 0;
  const FlowGroup* heaviest = nullptr;  // Which speaks for all.
};

/// As a flow's first packet would be judged. Null: the port that it came from matters, and a group
/// does not know it.
json denied_by(const FlowGroup& group, const NamedTable& denier) {
  const std::uint8_t flags = dataplane::first_tcp_flags(group.key);
  Verdict verdict;
  if (group.key.family == Family::v4) {
    const classifier::Key4 key = key4_of(group.key, flags);
    classifier::lookup(denier.table, std::span(&key, 1), std::span(&verdict, 1));
  } else {
    const classifier::Key6 key = key6_of(group.key, flags);
    classifier::lookup(denier.table, std::span(&key, 1), std::span(&verdict, 1));
  }
  if (verdict.allowed()) {
    return {};
  }
  const classifier::Decision decision = verdict.egress.allowed() ? verdict.ingress : verdict.egress;
  const auto name = name_of(denier.keys, decision.rule());
  return name ? to_json(*name) : json();
}

json pair_json(const Pair& pair, const Sum& sum, const NamedTable& denier) {
  json body = {{"source", pair.source.name},
               {"source_kind", pair.source.kind},
               {"destination", pair.destination.name},
               {"destination_kind", pair.destination.kind},
               {"protocol", observe::protocol_name(pair.protocol)},
               {"flows", sum.flows},
               {"at_least", sum.flows - std::min(sum.error, sum.flows)},
               {"denied_by", denied_by(*sum.heaviest, denier)}};
  if (pair.port != 0) {
    body["port"] = pair.port;
  }
  return body;
}

}  // namespace

FlowPairs pairs_of(std::span<const FlowGroup> groups,
                   const policy::Snapshot& snapshot,
                   const NamedTable& denier) {
  const Owners owners(groups, snapshot);
  std::map<Pair, Sum> sums;
  for (const FlowGroup& group : groups) {
    const bool has_port = !dataplane::is_icmp(group.key.protocol);
    Sum& sum = sums[{.source = end_of(source_of(group), owners),
                     .destination = end_of(destination_of(group), owners),
                     .protocol = group.key.protocol,
                     .port = has_port ? group.key.dst_port : std::uint16_t{0}}];
    sum.flows += group.flows;
    sum.error += group.error;
    if (sum.heaviest == nullptr || group.flows > sum.heaviest->flows) {
      sum.heaviest = &group;
    }
  }
  std::vector<std::pair<Pair, Sum>> order(sums.begin(), sums.end());
  std::ranges::stable_sort(
      order, std::ranges::greater{}, [](const auto& one) { return one.second.flows; });
  FlowPairs pairs{.total = order.size()};
  order.resize(std::min(order.size(), kPairsShown));
  for (const auto& [pair, sum] : order) {
    pairs.shown.push_back(pair_json(pair, sum, denier));
  }
  return pairs;
}

}  // namespace portcullis::control
