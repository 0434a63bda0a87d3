// SPDX-License-Identifier: MIT
#include "tests/classifier/compare.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "classifier/lookup.h"
#include "classifier/reference.h"
#include "tests/classifier/random_world.h"

namespace portcullis::classifier {
namespace {

std::string text_of(const Flow& flow) {
  return fmt::format("{} -> {} protocol {} port {}",
                     to_string(flow.src),
                     to_string(flow.dst),
                     flow.protocol,
                     flow.dst_port);
}

/// Every source x destination x port of one family, or a sample of them.
std::vector<Flow> boundary_flows(const RuleSet& rules,
                                 Family family,
                                 std::mt19937_64& random,
                                 std::size_t flows_max) {
  const auto addresses = boundary_addresses(rules, family);
  const auto ports = boundary_ports(rules);
  const std::size_t all = addresses.size() * addresses.size() * ports.size();
  const std::size_t stride = all <= flows_max ? 1 : all / flows_max + 1;
  std::vector<Flow> flows;
  for (std::size_t i = stride == 1 ? 0 : random() % stride; i < all;
       i += stride == 1 ? 1 : 1 + random() % (2 * stride - 1)) {
    const PortKey& key = ports[i % ports.size()];
    const std::size_t pair = i / ports.size();
    flows.push_back({.src = addresses[pair / addresses.size()],
                     .dst = addresses[pair % addresses.size()],
                     .protocol = key.protocol,
                     .dst_port = key.port});
  }
  return flows;
}

struct Answers {
  std::vector<Verdict> verdicts;
  std::vector<Permit> permits;
};

template <typename Key, typename KeyOf>
Answers answers_of(const Table& table, const std::vector<Flow>& flows, KeyOf key_of) {
  std::vector<Key> keys;
  std::ranges::transform(flows, std::back_inserter(keys), key_of);
  Answers answers{.verdicts = std::vector<Verdict>(keys.size()),
                  .permits = std::vector<Permit>(keys.size())};
  lookup(table, keys, answers.verdicts);
  permit(table, keys, answers.permits);
  return answers;
}

std::vector<Isa> isas_here() {
  std::vector<Isa> isas;
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    if (force_isa(isa)) {
      isas.push_back(isa);
    }
  }
  return isas;
}

std::vector<Verdict> reference_verdicts(const RuleSet& rules, const std::vector<Flow>& flows) {
  const Reference reference(rules);
  std::vector<Verdict> verdicts;
  for (const Flow& flow : flows) {
    verdicts.push_back(reference.lookup(flow));
  }
  return verdicts;
}

}  // namespace

std::size_t compare(const RuleSet& rules,
                    const Table& table,
                    Family family,
                    std::mt19937_64& random,
                    std::size_t flows_max) {
  return compare(rules, table, family, boundary_flows(rules, family, random, flows_max));
}

std::size_t compare(const RuleSet& rules,
                    const Table& table,
                    Family family,
                    const std::vector<Flow>& flows) {
  const auto expected = reference_verdicts(rules, flows);
  for (const Isa isa : isas_here()) {
    EXPECT_TRUE(force_isa(isa));
    const auto [verdicts, permits] = family == Family::v4 ? answers_of<Key4>(table, flows, key4_of)
                                                          : answers_of<Key6>(table, flows, key6_of);
    for (std::size_t i = 0; i < flows.size(); ++i) {
      if (verdicts[i] != expected[i] || permits[i].allowed() != expected[i].allowed()) {
        ADD_FAILURE() << text_of(flows[i])
                      << fmt::format(": {} kernel {:#x} {:#x}, permit {:#x}; reference {:#x} {:#x}",
                                     to_string(isa),
                                     verdicts[i].egress.bits,
                                     verdicts[i].ingress.bits,
                                     permits[i].bits,
                                     expected[i].egress.bits,
                                     expected[i].ingress.bits);
        return i;
      }
    }
  }
  return flows.size();
}

std::size_t isa_count() {
  return isas_here().size();
}

}  // namespace portcullis::classifier
