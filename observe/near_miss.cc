// SPDX-License-Identifier: MIT
#include "observe/near_miss.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace portcullis::observe {

using classifier::AddressSet;
using classifier::Direction;
using classifier::PortRange;
using classifier::PortSet;
using classifier::Reference;
using classifier::Rule;
using policy::RuleOrigin;

namespace {

/// Lists a few items and counts the rest.
template <typename Items, typename Text>
std::string listed(const Items& items, const Text& text) {
  constexpr std::size_t kShown = 4;
  std::string out;
  for (std::size_t i = 0; i < items.size() && i < kShown; ++i) {
    out += (i == 0 ? "" : ", ") + text(items[i]);
  }
  return items.size() > kShown ? fmt::format("{} and {} more", out, items.size() - kShown) : out;
}

std::string describe(const PortRange& range) {
  const std::string protocol = protocol_name(range.protocol);
  if (range.first == 0 && range.last == 0xffff) {
    return protocol;
  }
  return range.first == range.last ? fmt::format("{} {}", protocol, range.first)
                                   : fmt::format("{} {}-{}", protocol, range.first, range.last);
}

std::string describe(const PortSet& ports) {
  if (ports.everything) {
    return "every port";
  }
  return listed(ports.ranges, [](const PortRange& range) { return describe(range); });
}

std::string describe(const classifier::Block& block) {
  const std::string cidr = to_string(block.cidr);
  if (block.except.empty()) {
    return cidr;
  }
  return fmt::format("{} except {}", cidr, listed(block.except, [](const Prefix& hole) {
                       return to_string(hole);
                     }));
}

/// Judges the variants of one written rule, which differ by what a port name means where.
class RuleJudge {
 public:
  RuleJudge(const Enforced& enforced, const Reference& reference, const Denial& denial)
      : enforced_(enforced), reference_(reference), denial_(denial) {
    const bool egress = denial.direction == Direction::egress;
    subject_ = egress ? denial.flow.src : denial.flow.dst;
    peer_ = egress ? denial.flow.dst : denial.flow.src;
  }

  /// Nothing when the rule matches after all.
  [[nodiscard]] std::optional<NearMiss> judge(std::span<const Rule> variants) const;

 private:
  [[nodiscard]] bool holds(classifier::SetIndex set, const IpAddress& address) const {
    return reference_.holds(enforced_.rules.sets[set], address);
  }
  [[nodiscard]] bool holds_port(classifier::PortsIndex ports) const {
    return Reference::holds(
        enforced_.rules.port_sets[ports], denial_.flow.protocol, denial_.flow.dst_port);
  }
  [[nodiscard]] std::string describe_peers(std::span<const Rule> variants) const;
  [[nodiscard]] std::string describe_ports(std::span<const Rule> variants) const;
  [[nodiscard]] std::string text_of(const NearMiss& miss, std::span<const Rule> variants) const;

  const Enforced& enforced_;
  const Reference& reference_;
  const Denial& denial_;
  IpAddress subject_;
  IpAddress peer_;
};

std::optional<NearMiss> RuleJudge::judge(std::span<const Rule> variants) const {
  std::vector<Rule> of_subject;
  std::vector<Rule> of_peer;
  for (const Rule& rule : variants) {
    if (holds(rule.subjects, subject_)) {
      of_subject.push_back(rule);
      if (holds(rule.peers, peer_)) {
        of_peer.push_back(rule);
      }
    }
  }
  const auto fits = [&](const Rule& rule) { return holds_port(rule.ports); };
  if (std::any_of(of_peer.begin(), of_peer.end(), fits)) {
    return std::nullopt;
  }
  NearMiss miss;
  miss.origin = enforced_.provenance[variants.front().provenance];
  if (of_subject.empty()) {
    miss.peer_fits = holds(variants.front().peers, peer_);
    miss.text = "names a port that the destination pod does not have";
    return miss;
  }
  miss.peer_fits = !of_peer.empty();
  miss.port_fits = !miss.peer_fits && std::any_of(of_subject.begin(), of_subject.end(), fits);
  miss.text = text_of(miss, miss.peer_fits ? of_peer : of_subject);
  return miss;
}

std::string RuleJudge::text_of(const NearMiss& miss, std::span<const Rule> variants) const {
  const char* word = denial_.direction == Direction::egress ? "to" : "from";
  const std::string port = describe_port(denial_.flow.protocol, denial_.flow.dst_port);
  const std::string ports = describe_ports(variants);
  if (ports.empty()) {
    return "names a port that no destination pod has";
  }
  if (miss.peer_fits) {
    return fmt::format("allows {} {} on {}, not on {}", word, denial_.peer, ports, port);
  }
  const std::string peers = describe_peers(variants);
  if (miss.port_fits) {
    return fmt::format("allows {} {} {}, not {} {}", port, word, peers, word, denial_.peer);
  }
  return fmt::format(
      "allows {} {} {}; neither {} nor {} fits", ports, word, peers, denial_.peer, port);
}

std::string RuleJudge::describe_peers(std::span<const Rule> variants) const {
  std::vector<classifier::EndpointIndex> endpoints;
  std::vector<classifier::Block> blocks;
  for (const Rule& rule : variants) {
    const AddressSet& set = enforced_.rules.sets[rule.peers];
    if (set.everything) {
      return "anyone";
    }
    endpoints.insert(endpoints.end(), set.endpoints.begin(), set.endpoints.end());
    blocks.insert(blocks.end(), set.blocks.begin(), set.blocks.end());
  }
  std::sort(endpoints.begin(), endpoints.end());
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
  std::sort(blocks.begin(), blocks.end());
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  if (endpoints.empty() && blocks.empty()) {
    return "selectors that match no pod";
  }
  const std::string pods =
      listed(endpoints, [&](auto index) { return enforced_.endpoints[index].text(); });
  const std::string cidrs = listed(blocks, [](const auto& block) { return describe(block); });
  return pods + (pods.empty() || cidrs.empty() ? "" : ", ") + cidrs;
}

std::string RuleJudge::describe_ports(std::span<const Rule> variants) const {
  PortSet ports;
  for (const Rule& rule : variants) {
    const PortSet& set = enforced_.rules.port_sets[rule.ports];
    ports.everything = ports.everything || set.everything;
    ports.ranges.insert(ports.ranges.end(), set.ranges.begin(), set.ranges.end());
  }
  std::sort(ports.ranges.begin(), ports.ranges.end());
  ports.ranges.erase(std::unique(ports.ranges.begin(), ports.ranges.end()), ports.ranges.end());
  return describe(ports);
}

bool counts(const RuleOrigin& origin, const Denial& denial) {
  return std::any_of(
      denial.selected_by.begin(), denial.selected_by.end(), [&](const RuleOrigin& isolation) {
        return isolation.policy == origin.policy && isolation.kind == origin.kind;
      });
}

}  // namespace

std::vector<NearMiss> find_near_misses(const Enforced& enforced,
                                       const Reference& reference,
                                       const Denial& denial) {
  const RuleJudge judge(enforced, reference, denial);
  // Names of ports split a written rule; its variants need not stand together.
  std::map<std::tuple<std::string_view, std::string_view, std::uint32_t>, std::vector<Rule>>
      written;
  for (const Rule& rule : enforced.rules.rules) {
    if (rule.direction != denial.direction || rule.tier != classifier::Tier::network_policy ||
        rule.action != classifier::Action::allow) {
      continue;
    }
    if (const RuleOrigin& origin = enforced.provenance[rule.provenance]; counts(origin, denial)) {
      written[{origin.kind, origin.policy, origin.rule}].push_back(rule);
    }
  }
  std::vector<NearMiss> misses;
  for (const auto& [origin, variants] : written) {
    if (auto miss = judge.judge(variants)) {
      misses.push_back(*std::move(miss));
    }
  }
  const auto distance = [](const NearMiss& miss) {
    return std::tuple(miss.peer_fits || miss.port_fits ? 1 : 2, !miss.peer_fits);
  };
  std::stable_sort(misses.begin(), misses.end(), [&](const NearMiss& a, const NearMiss& b) {
    return distance(a) < distance(b);
  });
  return misses;
}

}  // namespace portcullis::observe
