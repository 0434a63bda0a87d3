// SPDX-License-Identifier: MIT
#include "bench/corpus.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace portcullis::bench {
namespace {

using namespace classifier;

constexpr std::uint32_t kPodNetwork = 0x0a00'0000;   // 10.0.0.0/12 or /8: a /24 a node.
constexpr std::uint32_t kNodeNetwork = 0xac10'0000;  // 172.16.0.0/16: the nodes themselves.
constexpr unsigned kPodsPerNode = 80;
constexpr unsigned kPodsPerNodeMax = 110;
constexpr std::array<std::uint16_t, 15> kWellKnownPorts{
    53, 80, 443, 3000, 3306, 5432, 5672, 6379, 8000, 8080, 8443, 9090, 9092, 9200, 27017};

/// "app-000017": names of one kind sort as their numbers do.
std::string name_of(const char* kind, std::size_t number, int digits) {
  return fmt::format("{}-{:0{}}", kind, number, digits);
}

policy::Selector labelled(const char* key, const std::string& value) {
  return {.requirements = {{.key = key, .values = {value}}}};
}

constexpr const char* kAppLabel = "app";
constexpr const char* kNamespaceLabel = "kubernetes.io/metadata.name";

/// Pods are numbered by app and apps by namespace, which is the order of their names.
class WorldMaker {
 public:
  explicit WorldMaker(const Shape& shape) : shape_(shape), random_(shape.seed) {}

  World make() {
    world_.shape = shape_;
    world_.namespaces = std::min<std::size_t>(200, std::max<std::size_t>(5, shape_.pods / 50));
    add_apps();
    add_nodes();
    add_pods();
    for (std::size_t i = 0; i < shape_.policies; ++i) {
      add_policy(i);
    }
    std::ranges::sort(world_.snapshot.policies, {}, [](const policy::NetworkPolicy& policy) {
      return std::tie(policy.name_space, policy.name);
    });
    world_.apps = apps_.size();
    return std::move(world_);
  }

  /// A /12 has /24s for 4,096 nodes.
  [[nodiscard]] static Prefix pod_network(const Shape& shape) {
    return prefix_of(IpAddress::from_v4(kPodNetwork), nodes_of(shape) <= 4096 ? 12 : 8);
  }

 private:
  struct App {
    std::size_t name_space = 0;
    std::string name;
    std::size_t replicas = 0;
  };

  [[nodiscard]] static std::size_t nodes_of(const Shape& shape) {
    return (shape.pods + kPodsPerNode - 1) / kPodsPerNode;
  }

  std::size_t below(std::size_t end) { return random_() % end; }
  bool percent(unsigned share) { return below(100) < share; }
  double unit() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  static std::string namespace_name(std::size_t number) { return name_of("team", number, 3); }
  static std::string node_name(std::size_t number) { return name_of("node", number, 5); }

  void add_apps() {
    for (std::size_t pods = 0; pods < shape_.pods;) {
      const auto replicas = static_cast<std::size_t>(3 + 47 * std::pow(unit(), 3.5));
      apps_.push_back({.name_space = below(world_.namespaces),
                       .replicas = std::min(replicas, shape_.pods - pods)});
      pods += apps_.back().replicas;
    }
    std::ranges::stable_sort(apps_, {}, &App::name_space);
    by_namespace_.resize(world_.namespaces);
    for (std::size_t i = 0; i < apps_.size(); ++i) {
      apps_[i].name = name_of("app", i, 6);
      by_namespace_[apps_[i].name_space].push_back(i);
    }
    for (std::size_t i = 0; i < world_.namespaces; ++i) {
      const std::string name = namespace_name(i);
      world_.snapshot.namespaces.push_back({.name = name, .labels = {{kNamespaceLabel, name}}});
    }
  }

  void add_nodes() {
    for (std::size_t node = 0; node < nodes_of(shape_); ++node) {
      const auto address = IpAddress::from_v4(kNodeNetwork + static_cast<std::uint32_t>(node));
      world_.snapshot.nodes.push_back({.name = node_name(node), .addresses = {address}});
    }
  }

  void add_pods() {
    std::vector<unsigned> pods_on(nodes_of(shape_));
    for (const App& app : apps_) {
      for (std::size_t replica = 0; replica < app.replicas; ++replica) {
        std::size_t node = below(pods_on.size());
        while (pods_on[node] == kPodsPerNodeMax) {
          node = below(pods_on.size());
        }
        const auto host = static_cast<std::uint32_t>(node * 256 + 2 + pods_on[node]++);
        world_.snapshot.pods.push_back(
            {.name_space = namespace_name(app.name_space),
             .name = name_of(app.name.c_str(), replica, 2),
             .labels = {{kAppLabel, app.name}, {"pod-template-hash", app.name + "-1"}},
             .node = node_name(node),
             .addresses = {IpAddress::from_v4(kPodNetwork + host)}});
      }
    }
  }

  void add_policy(std::size_t number) {
    const App& app = apps_[below(apps_.size())];
    policy::NetworkPolicy policy{.name_space = namespace_name(app.name_space),
                                 .name = name_of("policy", number, 6),
                                 .subjects = labelled(kAppLabel, app.name),
                                 .isolates_ingress = true};
    policy.ingress = make_rules(app);
    policy.isolates_egress = percent(50);
    if (policy.isolates_egress) {
      policy.egress = make_rules(app);
    }
    world_.snapshot.policies.push_back(std::move(policy));
  }

  std::vector<policy::PolicyRule> make_rules(const App& app) {
    std::vector<policy::PolicyRule> rules;
    for (std::size_t i = 1 + below(2); i > 0; --i) {
      policy::PolicyRule& rule = rules.emplace_back();
      for (std::size_t k = 1 + below(3); k > 0; --k) {
        rule.peers.push_back(make_peer(app));
      }
      rule.ports = make_ports();
    }
    return rules;
  }

  policy::Peer make_peer(const App& subject) {
    const std::size_t die = below(100);
    if (die < 60) {
      const auto& neighbours = by_namespace_[subject.name_space];
      const App& app = apps_[neighbours[below(neighbours.size())]];
      return policy::PodPeer{.pods = labelled(kAppLabel, app.name)};
    }
    if (die < 85) {
      const App& app = apps_[below(apps_.size())];
      return policy::PodPeer{.namespaces = in_namespace(app.name_space),
                             .pods = labelled(kAppLabel, app.name)};
    }
    if (die < 95) {
      return policy::PodPeer{.namespaces = in_namespace(below(world_.namespaces))};
    }
    return make_block();
  }

  static policy::Selector in_namespace(std::size_t number) {
    return labelled(kNamespaceLabel, namespace_name(number));
  }

  Block make_block() {
    const auto length = static_cast<unsigned>(12 + below(13));
    const Prefix cidr =
        prefix_of(IpAddress::from_v4(static_cast<std::uint32_t>(random_())), length);
    const auto inside = static_cast<std::uint32_t>(random_()) & (0xffff'ffffU >> length);
    const auto except_length = static_cast<unsigned>(length + 1 + below(4));
    return {.cidr = cidr,
            .except = {prefix_of(IpAddress::from_v4(cidr.address.v4() | inside), except_length)}};
  }

  /// Empty: every port.
  std::vector<policy::PolicyPort> make_ports() {
    const std::size_t die = below(100);
    const std::size_t count = die < 10 ? 0 : die < 70 ? 1 : die < 90 ? 2 : 3;
    std::vector<policy::PolicyPort> ports;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t protocol = percent(90) ? kProtocolTcp : kProtocolUdp;
      if (percent(90)) {
        const std::uint16_t port = kWellKnownPorts[below(kWellKnownPorts.size())];
        ports.push_back({.protocol = protocol, .first = port, .last = port});
      } else {
        const auto first = static_cast<std::uint16_t>(1024 + below(60'000));
        const auto last = static_cast<std::uint16_t>(first + below(4000));
        ports.push_back({.protocol = protocol, .first = first, .last = last});
      }
    }
    return ports;
  }

  Shape shape_;
  std::mt19937_64 random_;
  World world_;
  std::vector<App> apps_;
  std::vector<std::vector<std::size_t>> by_namespace_;
};

}  // namespace

policy::LowerOptions lowering_of(const World& world) {
  return {.default_mode = DefaultMode::kubernetes,
          .pod_cidrs = {WorldMaker::pod_network(world.shape)}};
}

World make_world(const Shape& shape) {
  World world = WorldMaker(shape).make();
  policy::Lowered lowered = policy::lower(world.snapshot, lowering_of(world)).value();
  world.rules = std::move(lowered.rules);
  world.provenance = std::move(lowered.provenance);
  return world;
}

}  // namespace portcullis::bench
