// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/forward_wire.h"

#include <algorithm>

#include "base/check.h"

namespace portcullis::dataplane {
namespace {

PortIndex index_of(const config::Config& config, const std::string& name) {
  const auto found = std::ranges::find(config.ports, name, &config::Port::name);
  PORTCULLIS_CHECK(found != config.ports.end());
  return static_cast<PortIndex>(found - config.ports.begin());
}

}  // namespace

ForwardWire::ForwardWire(const config::Config& config) : partner_(config.ports.size()) {
  for (const auto& [a, b] : config.mode.pairs) {
    const PortIndex first = index_of(config, a);
    const PortIndex second = index_of(config, b);
    partner_[first] = second;
    partner_[second] = first;
  }
}

}  // namespace portcullis::dataplane
