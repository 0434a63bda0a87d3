// SPDX-License-Identifier: MIT
// RuleSet -> Table.
#include "classifier/compile.h"

#include <string>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/digest.h"
#include "classifier/table_body.h"

namespace portcullis::classifier {
namespace {

Result<void> check_addresses(const RuleSet& rules) {
  std::unordered_map<IpAddress, std::size_t> owners;
  for (std::size_t i = 0; i < rules.endpoints.size(); ++i) {
    for (const IpAddress& address : rules.endpoints[i].addresses) {
      const auto [owner, added] = owners.emplace(address, i);
      if (!added && owner->second != i) {
        return fail(fmt::format("address {} is owned by endpoints {} and {}; give it to one",
                                to_string(address),
                                owner->second,
                                i));
      }
    }
  }
  return {};
}

std::string content_digest(const RuleSet& rules) {
  Digest digest;
  const auto add_prefix = [&](const Prefix& prefix) { digest.add(to_string(prefix)); };
  digest.add(static_cast<std::uint64_t>(rules.default_mode));
  for (const Prefix& prefix : rules.pod_cidrs) {
    add_prefix(prefix);
  }
  for (const Endpoint& endpoint : rules.endpoints) {
    digest.add(static_cast<std::uint64_t>(endpoint.kind)).add(endpoint.node);
    for (const IpAddress& address : endpoint.addresses) {
      digest.add(to_string(address));
    }
  }
  for (const AddressSet& set : rules.sets) {
    digest.add(std::uint64_t{set.everything}).add(set.endpoints.size());
    for (const EndpointIndex endpoint : set.endpoints) {
      digest.add(std::uint64_t{endpoint});
    }
    for (const Block& block : set.blocks) {
      add_prefix(block.cidr);
      digest.add(block.except.size());
      for (const Prefix& prefix : block.except) {
        add_prefix(prefix);
      }
    }
  }
  for (const PortSet& ports : rules.port_sets) {
    digest.add(std::uint64_t{ports.everything}).add(ports.ranges.size());
    for (const PortRange& range : ports.ranges) {
      digest.add((std::uint64_t{range.protocol} << 32U) | (std::uint64_t{range.first} << 16U) |
                 range.last);
    }
  }
  for (const Rule& rule : rules.rules) {
    digest.add(static_cast<std::uint64_t>(rule.direction))
        .add(static_cast<std::uint64_t>(rule.tier))
        .add(static_cast<std::uint64_t>(rule.action))
        .add(std::uint64_t{rule.subjects})
        .add(std::uint64_t{rule.peers})
        .add(std::uint64_t{rule.ports});
  }
  return digest.finish();
}

}  // namespace

Result<std::unique_ptr<const Table>> compile(const RuleSet& rules, const CompileOptions&) {
  PORTCULLIS_TRY_VOID(check_addresses(rules));
  auto body = std::make_unique<Table::Body>(rules);
  body->digest = content_digest(rules);
  return std::make_unique<const Table>(std::move(body));
}

}  // namespace portcullis::classifier
