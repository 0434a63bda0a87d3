// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/spread/exchange.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace portcullis::dataplane {
namespace {

/// Who of a port's crew serves its queues where it has but one: they take turns, port by port.
std::size_t host_of(std::span<const std::unique_ptr<Port>> ports, std::size_t index) {
  const Crew& crew = ports[index]->crew();
  const auto turn = std::ranges::count_if(
      ports.first(index), [&crew](const auto& port) { return port->crew() == crew; });
  return crew[static_cast<std::size_t>(turn) % crew.size()];
}

}  // namespace

Result<std::unique_ptr<Exchange>> Exchange::make(std::span<const std::unique_ptr<Port>> ports,
                                                 std::size_t workers) {
  std::unique_ptr<Exchange> exchange(new Exchange(workers));
  for (Share& share : exchange->shares_) {
    share.roads.resize(workers, nullptr);
    share.ways_out.resize(ports.size());
  }
  for (std::size_t i = 0; i < ports.size(); ++i) {
    PORTCULLIS_TRY_VOID(exchange->join(ports[i]->crew()));
    PORTCULLIS_TRY_VOID(
        exchange->add_port(static_cast<PortIndex>(i), *ports[i], host_of(ports, i)));
  }
  return exchange;
}

Result<Handover*> Exchange::add_road(const std::string& name) {
  PORTCULLIS_TRY(auto road, Handover::make(name));
  return roads_.emplace_back(std::move(road)).get();
}

/// Roads between any two of a crew, once.
Result<void> Exchange::join(const Crew& crew) {
  for (const std::uint16_t from : crew) {
    for (const std::uint16_t to : crew) {
      Handover*& road = shares_[from].roads[to];
      if (from != to && road == nullptr) {
        PORTCULLIS_TRY(road, add_road(fmt::format("portcullis_{}_{}", from, to)));
        shares_[to].inboxes.push_back(road);
      }
    }
  }
  return {};
}

Result<void> Exchange::add_port(PortIndex index, const Port& port, std::size_t host) {
  const Crew& crew = port.crew();
  const Source source{
      .port = index, .device = port.id(), .shared = crew.size() > 1, .owners = owners_of(crew)};
  for (std::size_t place = 0; place < crew.size(); ++place) {
    const auto queue = static_cast<std::uint16_t>(place);
    const std::uint16_t worker = crew[place];
    Share& share = shares_[worker];
    if (port.queues().rx > 1 || worker == host) {
      share.sources.push_back(source);
      share.sources.back().queue = port.queues().rx > 1 ? queue : std::uint16_t{0};
    }
    if (port.queues().tx > 1) {
      share.ways_out[index].queue = queue;
    } else if (worker != host) {
      PORTCULLIS_TRY(share.ways_out[index].road,
                     add_road(fmt::format("portcullis_{}_p{}", worker, index)));
      shares_[host].carriages.push_back({.road = share.ways_out[index].road, .device = port.id()});
    }
  }
  return {};
}

}  // namespace portcullis::dataplane
