// SPDX-License-Identifier: MIT
#include "bench/baselines/expand.h"

#include <set>
#include <utility>
#include <vector>

namespace portcullis::bench {
namespace {

using namespace classifier;

// A pod to itself and to its own node are allowed ahead of what policies say.
constexpr std::uint32_t kPriorityBuiltin = 3;
constexpr std::uint32_t kPriorityAllow = 2;
constexpr std::uint32_t kPriorityDeny = 1;

const Prefix kAnywhere = prefix_of(IpAddress::from_v4(0), 0);

Prefix host(const IpAddress& address) {
  return {.address = address, .length = 32};
}

/// `block` less the exceptions from `next` on, as prefixes.
void subtract(const Prefix& block,
              const std::vector<Prefix>& except,
              std::size_t next,
              std::vector<Prefix>& out) {
  for (; next < except.size(); ++next) {
    if (except[next].contains(block)) {
      return;
    }
    if (block.contains(except[next])) {
      const auto length = static_cast<std::uint8_t>(block.length + 1);
      const std::uint32_t half = 1U << (32U - length);
      for (const std::uint32_t first : {block.address.v4(), block.address.v4() | half}) {
        subtract({.address = IpAddress::from_v4(first), .length = length}, except, next, out);
      }
      return;
    }
  }
  out.push_back(block);
}

class Expander {
 public:
  Expander(const World& world, const Expansion& expansion)
      : rules_(world.rules), expansion_(expansion) {}

  /// Calls `emit` for every rule.
  template <typename Emit>
  void each(Emit emit) {
    for (const Rule& rule : rules_.rules) {
      const auto list = static_cast<std::uint8_t>(rule.direction);
      const std::vector<Prefix> peers = prefixes(rules_.sets[rule.peers]);
      const bool allow = rule.action == Action::allow;
      ListedRule listed{.priority = allow ? kPriorityAllow : kPriorityDeny,
                        .answer = allow ? kAnswerAllow : kAnswerDeny,
                        .list = list};
      for (const EndpointIndex subject : rules_.sets[rule.subjects].endpoints) {
        const Endpoint& endpoint = rules_.endpoints[subject];
        if (expansion_.node != kNoEndpoint && endpoint.node != expansion_.node) {
          continue;
        }
        if (judged_.emplace(list, subject).second) {
          each_builtin(endpoint, list, emit);
        }
        for (const Prefix& peer : peers) {
          set_ends(listed.rule, list, host(endpoint.addresses[0]), peer);
          each_port(rules_.port_sets[rule.ports], listed, emit);
        }
      }
    }
  }

 private:
  static void set_ends(FilterRule& rule,
                       std::uint8_t list,
                       const Prefix& subject,
                       const Prefix& peer) {
    const bool egress = list == static_cast<std::uint8_t>(Direction::egress);
    rule.src = egress ? subject : peer;
    rule.dst = egress ? peer : subject;
  }

  template <typename Emit>
  static void each_port(const PortSet& ports, ListedRule& listed, Emit& emit) {
    if (ports.everything) {
      listed.rule.dst_port_first = 0;
      listed.rule.dst_port_last = 0xffff;
      listed.rule.protocol = listed.rule.protocol_mask = 0;
      emit(std::as_const(listed));
      return;
    }
    for (const PortRange& range : ports.ranges) {
      listed.rule.dst_port_first = range.first;
      listed.rule.dst_port_last = range.last;
      listed.rule.protocol = range.protocol;
      listed.rule.protocol_mask = 0xff;
      emit(std::as_const(listed));
    }
  }

  template <typename Emit>
  void each_builtin(const Endpoint& subject, std::uint8_t list, Emit& emit) {
    ListedRule listed{.priority = kPriorityBuiltin, .answer = kAnswerAllow, .list = list};
    const Prefix self = host(subject.addresses[0]);
    set_ends(listed.rule, list, self, self);
    emit(std::as_const(listed));
    if (subject.node != kNoEndpoint) {
      set_ends(listed.rule, list, self, host(rules_.endpoints[subject.node].addresses[0]));
      emit(std::as_const(listed));
    }
  }

  [[nodiscard]] std::vector<Prefix> prefixes(const AddressSet& set) const {
    if (set.everything) {
      return {kAnywhere};
    }
    std::vector<Prefix> out;
    for (const EndpointIndex endpoint : set.endpoints) {
      out.push_back(host(rules_.endpoints[endpoint].addresses[0]));
    }
    for (const Block& block : set.blocks) {
      subtract(block.cidr, block.except, 0, out);
    }
    return out;
  }

  const RuleSet& rules_;
  Expansion expansion_;
  std::set<std::pair<std::uint8_t, EndpointIndex>> judged_;
};

}  // namespace

std::vector<Prefix> without_exceptions(const Block& block) {
  std::vector<Prefix> out;
  subtract(block.cidr, block.except, 0, out);
  return out;
}

RuleLists expand(const World& world, const Expansion& expansion) {
  RuleLists lists{.lists = 2, .unmatched = kAnswerAllow};
  Expander(world, expansion).each([&](const ListedRule& rule) { lists.rules.push_back(rule); });
  return lists;
}

std::size_t expanded_count(const World& world, const Expansion& expansion) {
  std::size_t count = 0;
  Expander(world, expansion).each([&](const ListedRule&) { ++count; });
  return count;
}

}  // namespace portcullis::bench
