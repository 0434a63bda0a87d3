// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/spread/exchange.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"

namespace portcullis::dataplane {
namespace {

/// Only a router's ports come and go.
std::size_t ports_max_of(std::span<const std::unique_ptr<Port>> ports) {
  const bool router = std::ranges::any_of(ports, [](const std::unique_ptr<Port>& port) {
    return port->options().role == config::Port::Role::uplink;
  });
  return router ? limits::kPortsMax : ports.size();
}

}  // namespace

Result<std::unique_ptr<Exchange>> Exchange::make(std::span<const std::unique_ptr<Port>> ports,
                                                 std::size_t workers) {
  std::unique_ptr<Exchange> exchange(new Exchange(workers));
  for (Share& share : exchange->shares_) {
    share.roads.resize(workers, nullptr);
    share.ports_max = ports_max_of(ports);
  }
  for (std::size_t i = 0; i < ports.size(); ++i) {
    PORTCULLIS_TRY_VOID(exchange->join(ports[i]->crew()));
    PORTCULLIS_TRY_VOID(exchange->plug(static_cast<PortIndex>(i), *ports[i]));
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

/// Of several with as few queues, the first.
std::uint16_t Exchange::host_of(const Crew& crew) const {
  return *std::ranges::min_element(
      crew, {}, [this](std::uint16_t worker) { return shares_[worker].sources.size(); });
}

Result<Handover*> Exchange::road_out(std::uint16_t worker, PortIndex port) {
  Handover*& road = roads_out_[{worker, port}];
  if (road == nullptr) {
    PORTCULLIS_TRY(road, add_road(fmt::format("portcullis_{}_p{}", worker, port)));
  }
  return road;
}

Result<std::vector<PortPart>> Exchange::plug(PortIndex index, const Port& port) {
  using By = WayOut::By;
  const Crew& crew = port.crew();
  const Source source{
      .port = index, .device = port.id(), .shared = crew.size() > 1, .owners = owners_of(crew)};
  const std::uint16_t host = host_of(crew);
  std::vector<PortPart> parts(shares_.size());
  for (std::size_t place = 0; place < crew.size(); ++place) {
    const auto queue = static_cast<std::uint16_t>(place);
    const std::uint16_t worker = crew[place];
    PortPart& part = parts[worker];
    if (port.queues().rx > 1 || worker == host) {
      part.source = source;
      part.source->queue = port.queues().rx > 1 ? queue : std::uint16_t{0};
    }
    if (port.queues().tx > 1) {
      part.way_out = {.by = By::queue, .queue = queue};
    } else if (worker == host) {
      part.way_out = {.by = By::queue};
    } else {
      PORTCULLIS_TRY(Handover* const road, road_out(worker, index));
      part.way_out = {.by = By::road, .road = road};
      parts[host].carriages.push_back({.road = road, .port = index, .device = port.id()});
    }
  }
  add(index, parts);
  return parts;
}

void Exchange::add(PortIndex index, const std::vector<PortPart>& parts) {
  for (std::size_t worker = 0; worker < shares_.size(); ++worker) {
    Share& share = shares_[worker];
    const PortPart& part = parts[worker];
    if (part.source) {
      share.sources.push_back(*part.source);
    }
    share.ways_out.resize(std::max<std::size_t>(share.ways_out.size(), index + 1U));
    share.ways_out[index] = part.way_out;
    share.carriages.insert(share.carriages.end(), part.carriages.begin(), part.carriages.end());
  }
}

void Exchange::unplug(PortIndex index) {
  const auto is_its = [index](const auto& one) { return one.port == index; };
  for (Share& share : shares_) {
    std::erase_if(share.sources, is_its);
    std::erase_if(share.carriages, is_its);
    share.ways_out[index] = {};
  }
}

}  // namespace portcullis::dataplane
