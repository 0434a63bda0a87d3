// SPDX-License-Identifier: MIT
#include "tests/classifier/random_world.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace portcullis::classifier {
namespace {

class WorldMaker {
 public:
  explicit WorldMaker(std::mt19937_64& random) : random_(random), wide_(chance(4)) {}
  WorldMaker(std::mt19937_64& random, const RuleSet& rules)
      : random_(random), wide_(chance(30)), rules_(rules) {}

  RuleDelta delta() {
    RuleDelta out;
    for (unsigned i = chance(3) ? 1 + below(4) : 1; i > 0; --i) {
      add_change(out);
    }
    return out;
  }

  RuleSet make() {
    rules_.default_mode = chance(2) ? DefaultMode::deny : DefaultMode::kubernetes;
    for (unsigned i = below(3); i > 0; --i) {
      rules_.pod_cidrs.push_back(prefix());
    }
    for (unsigned i = 1 + below(6); i > 0; --i) {
      add_endpoint();
    }
    for (Endpoint& endpoint : rules_.endpoints) {
      endpoint.node = node_for(endpoint);
    }
    for (unsigned i = 1 + below(6); i > 0; --i) {
      rules_.sets.push_back(set());
    }
    for (unsigned i = 1 + below(4); i > 0; --i) {
      rules_.port_sets.push_back(ports());
    }
    for (unsigned i = below(10); i > 0; --i) {
      rules_.rules.push_back(rule());
    }
    return std::move(rules_);
  }

 private:
  unsigned below(unsigned end) { return static_cast<unsigned>(random_() % end); }
  bool chance(unsigned one_in) { return below(one_in) == 0; }
  template <typename T, std::size_t N>
  T one_of(const std::array<T, N>& choices) {
    return choices[below(N)];
  }

  /// From 16 addresses a family, or, in wide worlds, from anywhere.
  IpAddress address() {
    IpAddress out = chance(2) ? IpAddress::from_v4(0x0a00'00f8U) : IpAddress::from_v6({0xfd});
    const unsigned bytes = out.width() / 8;
    if (wide_ && chance(2)) {
      for (unsigned i = 0; i < bytes; ++i) {
        out.bytes[i] = static_cast<std::uint8_t>(chance(3) ? below(256) : 255 * below(2));
      }
    }
    out.bytes[bytes - 1] = static_cast<std::uint8_t>(0xf8U + below(16));
    return out;
  }

  Prefix prefix() {
    const IpAddress base = address();
    const unsigned length =
        chance(wide_ ? 2 : 12) ? below(base.width() + 1) : base.width() - below(5);
    return prefix_of(base, length);
  }

  void add_endpoint() {
    Endpoint endpoint;
    endpoint.kind = chance(3) ? Endpoint::Kind::node : Endpoint::Kind::workload;
    for (unsigned i = below(4); i > 0; --i) {
      const IpAddress mine = address();
      const auto owns = [&](const Endpoint& other) {
        return std::ranges::find(other.addresses, mine) != other.addresses.end();
      };
      if (std::ranges::none_of(rules_.endpoints, owns)) {
        endpoint.addresses.push_back(mine);  // At times twice: one owner, listed twice.
      }
    }
    rules_.endpoints.push_back(std::move(endpoint));
  }

  /// Mostly a node; at times none, or something that is no node.
  EndpointIndex node_for(const Endpoint& endpoint) {
    const EndpointIndex any = below(static_cast<unsigned>(rules_.endpoints.size()));
    const bool is_node = rules_.endpoints[any].kind == Endpoint::Kind::node;
    return endpoint.kind == Endpoint::Kind::workload && (is_node || chance(3)) ? any : kNoEndpoint;
  }

  AddressSet set() {
    AddressSet out;
    out.everything = chance(6);
    for (EndpointIndex i = 0; i < rules_.endpoints.size(); ++i) {
      if (chance(3)) {
        out.endpoints.push_back(i);
      }
    }
    for (unsigned i = below(3); i > 0; --i) {
      Block block{.cidr = prefix()};
      for (unsigned k = below(3); k > 0; --k) {
        block.except.push_back(prefix());
      }
      out.blocks.push_back(std::move(block));
    }
    return out;
  }

  PortSet ports() {
    PortSet out;
    out.everything = chance(4);
    const bool crowded = chance(20);  // Enough ranges for more than one level of lines.
    for (unsigned i = crowded ? 40 : below(4); i > 0; --i) {
      const auto first = static_cast<std::uint16_t>(
          crowded ? below(200) : one_of(std::array<unsigned, 7>{0, 1, 53, 80, 443, 8080, 65535}));
      const unsigned wider = chance(2) ? 0 : below(600);
      out.ranges.push_back({.protocol = protocol(),
                            .first = first,
                            .last = static_cast<std::uint16_t>(std::min(first + wider, 65535U))});
    }
    return out;
  }

  std::uint8_t protocol() {
    return one_of(std::array<std::uint8_t, 8>{kProtocolTcp,
                                              kProtocolTcp,
                                              kProtocolTcp,
                                              kProtocolUdp,
                                              kProtocolSctp,
                                              kProtocolIcmp,
                                              0,
                                              255});
  }

  Rule rule() {
    return {.direction = chance(2) ? Direction::egress : Direction::ingress,
            .tier = one_of(std::array{Tier::admin, Tier::network_policy, Tier::baseline}),
            .action = one_of(std::array{Action::allow, Action::deny, Action::pass}),
            .subjects = below(static_cast<unsigned>(rules_.sets.size())),
            .peers = below(static_cast<unsigned>(rules_.sets.size())),
            .ports = below(static_cast<unsigned>(rules_.port_sets.size()))};
  }

  static unsigned size_of(const auto& list) { return static_cast<unsigned>(list.size()); }

  /// What a cluster does most comes most often. Indices are those of the world with the changes so
  /// far, which are not in rules_: only entries that were there before change twice.
  void add_change(RuleDelta& out) {
    switch (below(10)) {
      case 0:
      case 1:
      case 2:
        return change_endpoint(out);
      case 3:
      case 4:
        return change_memberships(out);
      case 5:
        return change_set(out);
      case 6:
        if (chance(4)) {
          return change_ground(out);
        }
        return change_ports(out);
      default:
        return change_rule(out);
    }
  }

  /// An existing entry, or the next one if the delta has none yet.
  template <typename T>
  std::uint32_t place(const std::vector<Change<T>>& changes, const std::vector<T>& entries) {
    const unsigned count = size_of(entries);
    const bool appends = std::ranges::none_of(
        changes, [&](const Change<T>& change) { return change.index >= count; });
    return appends && (count == 0 || chance(3)) ? count : below(std::max(1U, count));
  }

  void change_endpoint(RuleDelta& out) {
    const std::uint32_t index = place(out.endpoints, rules_.endpoints);
    Endpoint endpoint;
    if (index < rules_.endpoints.size()) {
      endpoint = rules_.endpoints[index];
      endpoint.addresses.clear();
    }
    if (index == rules_.endpoints.size() || chance(8)) {
      endpoint.kind = chance(3) ? Endpoint::Kind::node : Endpoint::Kind::workload;
      endpoint.node = rules_.endpoints.empty() ? kNoEndpoint : node_for(endpoint);
    }
    const auto owned = [&](const IpAddress& mine) {
      const auto owns = [&](const Endpoint& other) {
        return std::ranges::find(other.addresses, mine) != other.addresses.end();
      };
      return std::ranges::any_of(out.endpoints,
                                 [&](const auto& change) { return owns(change.value); }) ||
             std::ranges::any_of(rules_.endpoints, [&](const Endpoint& other) {
               return &other - rules_.endpoints.data() != index && owns(other);
             });
    };
    for (unsigned i = below(3); i > 0; --i) {
      const IpAddress mine = address();
      if (!owned(mine)) {
        endpoint.addresses.push_back(mine);
      }
    }
    if (!rules_.endpoints.empty() && chance(2)) {  // The labels of another.
      const EndpointIndex model = below(size_of(rules_.endpoints));
      for (SetIndex set = 0; set < rules_.sets.size(); ++set) {
        const bool member = std::ranges::binary_search(rules_.sets[set].endpoints, model);
        out.memberships.push_back({.set = set, .endpoint = index, .member = member});
      }
    }
    out.endpoints.push_back({.index = index, .value = std::move(endpoint)});
  }

  void change_memberships(RuleDelta& out) {
    if (rules_.endpoints.empty() || rules_.sets.empty()) {
      return;
    }
    for (unsigned i = 1 + below(3); i > 0; --i) {
      out.memberships.push_back({.set = below(size_of(rules_.sets)),
                                 .endpoint = below(size_of(rules_.endpoints)),
                                 .member = chance(2)});
    }
  }

  void change_set(RuleDelta& out) {
    const std::uint32_t index = place(out.sets, rules_.sets);
    AddressSet value = set();
    if (!chance(6)) {  // No new cuts of the address space.
      value.blocks.clear();
      if (!rules_.sets.empty() && chance(2)) {
        value.blocks = rules_.sets[below(size_of(rules_.sets))].blocks;
      }
    }
    out.sets.push_back({.index = index, .value = std::move(value)});
  }

  void change_ports(RuleDelta& out) {
    const std::uint32_t index = place(out.port_sets, rules_.port_sets);
    out.port_sets.push_back({.index = index, .value = ports()});
  }

  void change_rule(RuleDelta& out) {
    if (chance(4)) {
      change_set(out);
    }
    if (rules_.sets.empty() || rules_.port_sets.empty()) {
      return;
    }
    const std::uint32_t index = place(out.rules, rules_.rules);
    if (index < rules_.rules.size() && chance(2)) {
      out.rules.push_back({.index = index, .value = {.action = Action::none}});
      return;
    }
    Rule value = rule();
    value.order = below(3);
    if (!out.sets.empty() && chance(2)) {
      value.subjects = out.sets.back().index;
    }
    if (!out.sets.empty() && chance(2)) {
      value.peers = out.sets.back().index;
    }
    out.rules.push_back({.index = index, .value = value});
  }

  void change_ground(RuleDelta& out) {
    if (chance(2)) {
      out.default_mode = chance(2) ? DefaultMode::deny : DefaultMode::kubernetes;
    } else {
      out.pod_cidrs = {prefix()};
    }
  }

  std::mt19937_64& random_;
  bool wide_;
  RuleSet rules_;
};

template <typename T>
std::vector<T> sorted_unique(std::vector<T> items) {
  std::ranges::sort(items);
  items.erase(std::unique(items.begin(), items.end()), items.end());
  return items;
}

}  // namespace

RuleSet random_rules(std::mt19937_64& random) {
  return WorldMaker(random).make();
}

RuleDelta random_delta(const RuleSet& rules, std::mt19937_64& random) {
  return WorldMaker(random, rules).delta();
}

std::vector<IpAddress> boundary_addresses(const RuleSet& rules, Family family) {
  std::vector<IpAddress> addresses;
  const auto add = [&](const Prefix& prefix) {
    if (prefix.address.family == family) {
      const IpAddress first = first_address(prefix);
      const IpAddress last = last_address(prefix);
      addresses.insert(addresses.end(), {previous_address(first), first, last, next_address(last)});
    }
  };
  std::ranges::for_each(rules.pod_cidrs, add);
  for (const AddressSet& set : rules.sets) {
    for (const Block& block : set.blocks) {
      add(block.cidr);
      std::ranges::for_each(block.except, add);
    }
  }
  for (const Endpoint& endpoint : rules.endpoints) {
    for (const IpAddress& address : endpoint.addresses) {
      if (address.family == family) {
        addresses.push_back(address);
      }
    }
  }
  addresses.push_back(family == Family::v4 ? IpAddress::from_v4(0xcb00'7107U)
                                           : IpAddress::from_v6({0x20, 0x01, 0x0d, 0xb8}));
  return sorted_unique(std::move(addresses));
}

std::vector<PortKey> boundary_ports(const RuleSet& rules) {
  std::vector<PortKey> keys{{.protocol = kProtocolIcmpv6}, {.protocol = kProtocolTcp, .port = 9}};
  for (const PortSet& ports : rules.port_sets) {
    for (const PortRange& range : ports.ranges) {
      for (const unsigned port :
           {range.first - 1U, range.first + 0U, range.last + 0U, range.last + 1U}) {
        keys.push_back({.protocol = range.protocol, .port = static_cast<std::uint16_t>(port)});
      }
    }
  }
  return sorted_unique(std::move(keys));
}

std::uint64_t seed_of_run(std::uint64_t fallback) {
  const char* text = std::getenv("PORTCULLIS_SEED");
  const std::uint64_t seed = text == nullptr ? fallback : std::stoull(text);
  std::printf("PORTCULLIS_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace portcullis::classifier
