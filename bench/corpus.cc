// SPDX-License-Identifier: MIT
#include "bench/corpus.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace portcullis::bench {
namespace {

using namespace classifier;

constexpr std::uint32_t kPodNetwork = 0x0a00'0000;   // 10.0.0.0/12 or /8: a /24 a node.
constexpr std::uint32_t kNodeNetwork = 0xac10'0000;  // 172.16.0.0/16: the nodes themselves.
constexpr unsigned kPodsPerNode = 80;
constexpr unsigned kPodsPerNodeMax = 110;
constexpr std::array<std::uint16_t, 15> kWellKnownPorts{
    53, 80, 443, 3000, 3306, 5432, 5672, 6379, 8000, 8080, 8443, 9090, 9092, 9200, 27017};

class WorldMaker {
 public:
  explicit WorldMaker(const Shape& shape) : shape_(shape), random_(shape.seed) {}

  World make() {
    world_.shape = shape_;
    world_.rules.default_mode = DefaultMode::kubernetes;
    world_.rules.pod_cidrs = {prefix_of(IpAddress::from_v4(kPodNetwork), pod_network_length())};
    world_.namespaces = std::min<std::size_t>(200, std::max<std::size_t>(5, shape_.pods / 50));
    add_apps();
    add_endpoints();
    for (std::size_t i = 0; i < shape_.policies; ++i) {
      add_policy();
    }
    auto& rules = world_.rules.rules;
    rules.insert(rules.end(), isolation_.begin(), isolation_.end());
    world_.apps = apps_.size();
    return std::move(world_);
  }

 private:
  struct App {
    std::size_t name_space = 0;
    EndpointIndex first = 0;  // Pods are numbered by app, apps by namespace.
    std::size_t replicas = 0;
  };

  [[nodiscard]] std::size_t nodes() const {
    return (shape_.pods + kPodsPerNode - 1) / kPodsPerNode;
  }
  /// A /12 has /24s for 4,096 nodes.
  [[nodiscard]] unsigned pod_network_length() const { return nodes() <= 4096 ? 12 : 8; }

  std::size_t below(std::size_t end) { return random_() % end; }
  bool percent(unsigned share) { return below(100) < share; }
  double unit() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  void add_apps() {
    for (std::size_t pods = 0; pods < shape_.pods;) {
      const auto replicas = static_cast<std::size_t>(3 + 47 * std::pow(unit(), 3.5));
      apps_.push_back({.name_space = below(world_.namespaces),
                       .replicas = std::min(replicas, shape_.pods - pods)});
      pods += apps_.back().replicas;
    }
    std::ranges::stable_sort(apps_, {}, &App::name_space);
    EndpointIndex next = 0;
    for (App& app : apps_) {
      app.first = next;
      next += static_cast<EndpointIndex>(app.replicas);
    }
    by_namespace_.resize(world_.namespaces);
    for (std::size_t i = 0; i < apps_.size(); ++i) {
      by_namespace_[apps_[i].name_space].push_back(i);
    }
  }

  void add_endpoints() {
    std::vector<unsigned> pods_on(nodes());
    for (std::size_t pod = 0; pod < shape_.pods; ++pod) {
      std::size_t node = below(pods_on.size());
      while (pods_on[node] == kPodsPerNodeMax) {
        node = below(pods_on.size());
      }
      const auto host = static_cast<std::uint32_t>(node * 256 + 2 + pods_on[node]++);
      world_.rules.endpoints.push_back({.kind = Endpoint::Kind::workload,
                                        .node = static_cast<EndpointIndex>(shape_.pods + node),
                                        .addresses = {IpAddress::from_v4(kPodNetwork + host)}});
    }
    for (std::size_t node = 0; node < pods_on.size(); ++node) {
      world_.rules.endpoints.push_back(
          {.kind = Endpoint::Kind::node,
           .addresses = {IpAddress::from_v4(kNodeNetwork + static_cast<std::uint32_t>(node))}});
    }
  }

  void add_policy() {
    const App& app = apps_[below(apps_.size())];
    AddressSet subjects;
    add_app(app, subjects);
    const SetIndex subject_set = add_set(std::move(subjects));
    add_direction(Direction::ingress, app, subject_set);
    if (percent(50)) {
      add_direction(Direction::egress, app, subject_set);
    }
  }

  void add_direction(Direction direction, const App& app, SetIndex subjects) {
    for (std::size_t i = 1 + below(2); i > 0; --i) {
      AddressSet peers;
      for (std::size_t k = 1 + below(3); k > 0; --k) {
        add_peer(app, peers);
      }
      std::ranges::sort(peers.endpoints);
      const auto twice = std::unique(peers.endpoints.begin(), peers.endpoints.end());
      peers.endpoints.erase(twice, peers.endpoints.end());
      world_.rules.rules.push_back({.direction = direction,
                                    .action = Action::allow,
                                    .subjects = subjects,
                                    .peers = add_set(std::move(peers)),
                                    .ports = add_ports()});
    }
    isolation_.push_back({.direction = direction,
                          .action = Action::deny,
                          .subjects = subjects,
                          .peers = everything(),
                          .ports = every_port()});
  }

  void add_peer(const App& subject, AddressSet& peers) {
    const std::size_t die = below(100);
    if (die < 60) {
      const auto& neighbours = by_namespace_[subject.name_space];
      add_app(apps_[neighbours[below(neighbours.size())]], peers);
    } else if (die < 85) {
      add_app(apps_[below(apps_.size())], peers);
    } else if (die < 95) {
      for (const std::size_t app : by_namespace_[below(world_.namespaces)]) {
        add_app(apps_[app], peers);
      }
    } else {
      const auto length = static_cast<unsigned>(12 + below(13));
      const Prefix cidr =
          prefix_of(IpAddress::from_v4(static_cast<std::uint32_t>(random_())), length);
      const auto inside = static_cast<std::uint32_t>(random_()) & (0xffff'ffffU >> length);
      const auto except_length = static_cast<unsigned>(length + 1 + below(4));
      peers.blocks.push_back(
          {.cidr = cidr,
           .except = {prefix_of(IpAddress::from_v4(cidr.address.v4() | inside), except_length)}});
    }
  }

  static void add_app(const App& app, AddressSet& set) {
    for (std::size_t i = 0; i < app.replicas; ++i) {
      set.endpoints.push_back(app.first + static_cast<EndpointIndex>(i));
    }
  }

  PortsIndex add_ports() {
    const std::size_t die = below(100);
    const std::size_t count = die < 10 ? 0 : die < 70 ? 1 : die < 90 ? 2 : 3;
    if (count == 0) {
      return every_port();
    }
    PortSet ports;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t protocol = percent(90) ? kProtocolTcp : kProtocolUdp;
      if (percent(90)) {
        const std::uint16_t port = kWellKnownPorts[below(kWellKnownPorts.size())];
        ports.ranges.push_back({.protocol = protocol, .first = port, .last = port});
      } else {
        const auto first = static_cast<std::uint16_t>(1024 + below(60'000));
        const auto last = static_cast<std::uint16_t>(first + below(4000));
        ports.ranges.push_back({.protocol = protocol, .first = first, .last = last});
      }
    }
    world_.rules.port_sets.push_back(std::move(ports));
    return static_cast<PortsIndex>(world_.rules.port_sets.size() - 1);
  }

  SetIndex add_set(AddressSet set) {
    world_.rules.sets.push_back(std::move(set));
    return static_cast<SetIndex>(world_.rules.sets.size() - 1);
  }

  SetIndex everything() {
    if (world_.rules.sets.empty() || !world_.rules.sets[everything_].everything) {
      everything_ = add_set({.everything = true});
    }
    return everything_;
  }
  PortsIndex every_port() {
    if (world_.rules.port_sets.empty() || !world_.rules.port_sets[every_port_].everything) {
      world_.rules.port_sets.push_back({.everything = true});
      every_port_ = static_cast<PortsIndex>(world_.rules.port_sets.size() - 1);
    }
    return every_port_;
  }

  Shape shape_;
  std::mt19937_64 random_;
  World world_;
  std::vector<App> apps_;
  std::vector<std::vector<std::size_t>> by_namespace_;
  std::vector<Rule> isolation_;
  SetIndex everything_ = 0;
  PortsIndex every_port_ = 0;
};

}  // namespace

World make_world(const Shape& shape) {
  return WorldMaker(shape).make();
}

}  // namespace portcullis::bench
