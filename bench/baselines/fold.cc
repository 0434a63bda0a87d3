// SPDX-License-Identifier: MIT
#include "bench/baselines/fold.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "bench/baselines/expand.h"

namespace portcullis::bench {
namespace {

using namespace classifier;

/// From strongest to weakest.
enum Strength : std::uint32_t {
  isolated = 1,  // An end that policies select, to or from anywhere: denied.
  block,         // A block of addresses that one end allows; the other end is no isolated pod.
  guard,         // Two isolated pods of which one lies in a block that the other allows: denied.
  pair,          // Two pods that allow each other, or of which one is not isolated.
  builtin,       // A pod and itself, a pod and its node.
};

constexpr std::size_t kEgress = static_cast<std::size_t>(Direction::egress);
constexpr std::size_t kIngress = static_cast<std::size_t>(Direction::ingress);

constexpr PortRange kEveryPort{.protocol = 0, .first = 0, .last = 0xffff};

Prefix host(const Endpoint& endpoint) {
  return {.address = endpoint.addresses[0], .length = 32};
}

class Folder {
 public:
  explicit Folder(const World& world) : rules_(world.rules), pods_(world.shape.pods) {
    for (auto& of_pod : allows_) {
      of_pod.resize(pods_);
    }
    for (auto& isolated_pods : isolated_) {
      isolated_pods.resize(pods_);
    }
    for (const Rule& rule : rules_.rules) {
      const auto direction = static_cast<std::size_t>(rule.direction);
      for (const EndpointIndex pod : rules_.sets[rule.subjects].endpoints) {
        isolated_[direction][pod] = true;
        if (rule.action == Action::allow) {
          allows_[direction][pod].push_back(&rule);
        }
      }
    }
  }

  RuleLists make() {
    for (EndpointIndex pod = 0; pod < pods_; ++pod) {
      for (const std::size_t direction : {kEgress, kIngress}) {
        if (isolated_[direction][pod]) {
          add_ends(direction, pod, kAnywhere, kEveryPort, isolated);
          add_ends(direction, pod, host(rules_.endpoints[pod]), kEveryPort, builtin);
          add_ends(direction,
                   pod,
                   host(rules_.endpoints[rules_.endpoints[pod].node]),
                   kEveryPort,
                   builtin);
        }
        for (const Rule* rule : allows_[direction][pod]) {
          add_rule(direction, pod, *rule);
        }
      }
    }
    RuleLists lists{.unmatched = kAnswerAllow};
    for (const auto& [strength, rule] : made_) {
      const bool denies = strength == isolated || strength == guard;
      lists.rules.push_back(
          {.rule = rule, .priority = strength, .answer = denies ? kAnswerDeny : kAnswerAllow});
    }
    return lists;
  }

 private:
  static const Prefix kAnywhere;

  /// What `subject` allows in this direction, as far as the other end does too.
  void add_rule(std::size_t direction, EndpointIndex subject, const Rule& rule) {
    const AddressSet& peers = rules_.sets[rule.peers];
    for (const EndpointIndex peer : peers.endpoints) {
      add_pair(direction, subject, rule, peer);
    }
    for (const Prefix& prefix : prefixes_of(peers)) {
      for (const PortRange& range : ranges_of(rule)) {
        add_ends(direction, subject, prefix, range, block);
      }
      for (EndpointIndex peer = 0; peer < pods_; ++peer) {
        if (isolated_[1 - direction][peer] &&
            prefix.contains(rules_.endpoints[peer].addresses[0])) {
          add_ends(direction, subject, host(rules_.endpoints[peer]), kEveryPort, guard);
          add_pair(direction, subject, rule, peer);
        }
      }
    }
  }

  void add_pair(std::size_t direction,
                EndpointIndex subject,
                const Rule& rule,
                EndpointIndex peer) {
    const Prefix other = host(rules_.endpoints[peer]);
    if (!isolated_[1 - direction][peer]) {
      for (const PortRange& range : ranges_of(rule)) {
        add_ends(direction, subject, other, range, pair);
      }
      return;
    }
    if (direction == kIngress) {
      return;  // Added from the other end.
    }
    for (const Rule* back : allows_[kIngress][peer]) {
      if (!holds(rules_.sets[back->peers], subject)) {
        continue;
      }
      for (const PortRange& a : ranges_of(rule)) {
        for (const PortRange& b : ranges_of(*back)) {
          if (const auto both = common(a, b)) {
            add_ends(direction, subject, other, *both, pair);
          }
        }
      }
    }
  }

  [[nodiscard]] bool holds(const AddressSet& set, EndpointIndex pod) const {
    const auto held_by = [&](const Prefix& prefix) {
      return prefix.contains(rules_.endpoints[pod].addresses[0]);
    };
    return std::ranges::binary_search(set.endpoints, pod) ||
           std::ranges::any_of(prefixes_of(set), held_by);
  }

  /// Protocol 0 is every protocol.
  static std::optional<PortRange> common(const PortRange& a, const PortRange& b) {
    const PortRange both{.protocol = std::max(a.protocol, b.protocol),
                         .first = std::max(a.first, b.first),
                         .last = std::min(a.last, b.last)};
    const bool meet = a.protocol == b.protocol || a.protocol == 0 || b.protocol == 0;
    return meet && both.first <= both.last ? std::optional(both) : std::nullopt;
  }

  [[nodiscard]] std::vector<PortRange> ranges_of(const Rule& rule) const {
    const PortSet& ports = rules_.port_sets[rule.ports];
    return ports.everything ? std::vector{kEveryPort} : ports.ranges;
  }

  static std::vector<Prefix> prefixes_of(const AddressSet& set) {
    std::vector<Prefix> prefixes;
    for (const Block& one : set.blocks) {
      const auto pieces = without_exceptions(one);
      prefixes.insert(prefixes.end(), pieces.begin(), pieces.end());
    }
    return prefixes;
  }

  void add_ends(std::size_t direction,
                EndpointIndex subject,
                const Prefix& peer,
                const PortRange& range,
                Strength strength) {
    const Prefix self = host(rules_.endpoints[subject]);
    made_.insert({strength,
                  {.src = direction == kEgress ? self : peer,
                   .dst = direction == kEgress ? peer : self,
                   .dst_port_first = range.first,
                   .dst_port_last = range.last,
                   .protocol = range.protocol,
                   .protocol_mask = static_cast<std::uint8_t>(range.protocol == 0 ? 0 : 0xff)}});
  }

  const RuleSet& rules_;
  std::size_t pods_;
  std::array<std::vector<std::vector<const Rule*>>, 2> allows_;
  std::array<std::vector<bool>, 2> isolated_;
  std::set<std::pair<Strength, FilterRule>> made_;
};

const Prefix Folder::kAnywhere = prefix_of(IpAddress::from_v4(0), 0);

}  // namespace

RuleLists fold(const World& world) {
  return Folder(world).make();
}

}  // namespace portcullis::bench
