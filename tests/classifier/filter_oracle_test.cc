// SPDX-License-Identifier: MIT
// Random static rules, alone and ahead of policies: the table says what the linear matcher says.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/filter/filter.h"
#include "classifier/lookup.h"
#include "classifier/reference.h"
#include "tests/classifier/random_world.h"

namespace portcullis::classifier {
namespace {

constexpr unsigned kWorlds = 300;
constexpr std::size_t kFlows = 4'000;

/// Rules that crowd into few addresses and ports, so that they overlap, or spread wide.
class RuleMaker {
 public:
  explicit RuleMaker(std::mt19937_64& random) : random_(random), spread_(below(4)) {}

  StaticRule rule() {
    StaticRule out;
    const bool v4 = below(3) != 0;
    if (below(5) != 0) {
      out.src = prefix(v4);
    }
    if (below(5) != 0) {
      out.dst = prefix(v4);
    }
    out.action = std::array{Action::allow, Action::deny, Action::pass}[below(3)];
    switch (below(6)) {
      case 0:
        break;
      case 1:
        out.protocol = below(2) == 0 ? kProtocolIcmp : kProtocolIcmpv6;
        if (below(2) == 0) {
          const auto type = static_cast<std::uint16_t>(below(4) << 8U);
          out.icmp = {type, static_cast<std::uint16_t>(type | (below(2) == 0 ? 0xff : below(3)))};
        }
        return out;
      case 2:
        out.protocol = kProtocolUdp;
        break;
      case 3:
        out.protocol = static_cast<std::uint8_t>(below(256));
        break;
      default:
        out.protocol = kProtocolTcp;
        if (below(4) == 0) {
          out.tcp_flags_mask = static_cast<std::uint8_t>(1U << below(5));
          out.tcp_flags = below(2) == 0 ? 0 : out.tcp_flags_mask;
        }
    }
    out.src_ports = below(3) == 0 ? interval() : Interval{};
    out.dst_ports = below(4) != 0 ? interval() : Interval{};
    if (out.protocol == kProtocolIcmp || out.protocol == kProtocolIcmpv6) {
      out.src_ports = out.dst_ports = {};
    }
    return out;
  }

  std::size_t below(std::size_t end) { return random_() % end; }

 private:
  IpAddress address(bool v4) {
    IpAddress out = v4 ? IpAddress::from_v4(0x0a00'0000) : IpAddress::from_v6({0xfd});
    const std::size_t bytes = out.width() / 8;
    for (std::size_t i = 0; i < spread_; ++i) {
      out.bytes[below(bytes)] = static_cast<std::uint8_t>(below(256));
    }
    out.bytes[bytes - 1] = static_cast<std::uint8_t>(below(16));
    return out;
  }
  Prefix prefix(bool v4) {
    const IpAddress base = address(v4);
    return prefix_of(
        base,
        static_cast<unsigned>(below(3) == 0 ? below(base.width() + 1) : base.width() - below(5)));
  }
  Interval interval() {
    const auto first = static_cast<std::uint16_t>(
        below(3) == 0 ? random_() : std::array{0U, 22U, 80U, 1024U, 65535U}[below(5)]);
    const std::size_t wider = below(2) == 0 ? 0 : below(65'536U - first);
    return {first, static_cast<std::uint16_t>(first + wider)};
  }

  std::mt19937_64& random_;
  std::size_t spread_;
};

/// An address at or beside one end of what a rule names, or any.
IpAddress near(const std::optional<Prefix>& prefix, Family family, std::mt19937_64& random) {
  if (!prefix || prefix->address.family != family) {
    std::array<std::uint8_t, 16> any{};
    std::ranges::generate(any, [&] { return static_cast<std::uint8_t>(random()); });
    return family == Family::v6 ? IpAddress::from_v6(any)
                                : IpAddress::from_v4(static_cast<std::uint32_t>(random()));
  }
  switch (random() % 6) {
    case 0:
      return previous_address(first_address(*prefix));
    case 1:
      return next_address(last_address(*prefix));
    case 2:
      return last_address(*prefix);
    default:
      return first_address(*prefix);
  }
}

std::uint16_t near(const Interval& interval, std::mt19937_64& random) {
  switch (random() % 5) {
    case 0:
      return static_cast<std::uint16_t>(interval.first - 1);
    case 1:
      return static_cast<std::uint16_t>(interval.last + 1);
    case 2:
      return interval.last;
    default:
      return interval.first;
  }
}

/// A flow at the edges of a rule's source and of another's destination.
Flow flow_near(const std::vector<StaticRule>& rules, Family family, std::mt19937_64& random) {
  const StaticRule& one = rules[random() % rules.size()];
  const StaticRule& other = random() % 3 == 0 ? rules[random() % rules.size()] : one;
  Flow flow{.src = near(one.src, family, random), .dst = near(other.dst, family, random)};
  flow.protocol = one.protocol.value_or(static_cast<std::uint8_t>(random()));
  if (flow.protocol == kProtocolIcmp || flow.protocol == kProtocolIcmpv6) {
    flow.icmp = near(one.icmp, random);
  } else {
    flow.src_port = near(one.src_ports, random);
    flow.dst_port = near(other.dst_ports, random);
    flow.tcp_flags = flow.protocol == kProtocolTcp ? static_cast<std::uint8_t>(random() % 64) : 0;
  }
  return flow;
}

template <typename Key, typename KeyOf>
void expect_verdicts(const Table& table,
                     const std::vector<Flow>& flows,
                     const std::vector<Verdict>& expected,
                     KeyOf key_of) {
  std::vector<Key> keys;
  std::ranges::transform(flows, std::back_inserter(keys), key_of);
  std::vector<Verdict> verdicts(keys.size());
  std::vector<Permit> permits(keys.size());
  lookup(table, keys, verdicts);
  permit(table, keys, permits);
  for (std::size_t i = 0; i < flows.size(); ++i) {
    const Flow& flow = flows[i];
    ASSERT_TRUE(verdicts[i] == expected[i] && permits[i].allowed() == expected[i].allowed())
        << fmt::format(
               "{}: {} -> {} protocol {} ports {} {} icmp {:#x} flags {:#x}: {:#x} {:#x}, "
               "permit {:#x}; reference {:#x} {:#x}",
               to_string(current_isa()),
               to_string(flow.src),
               to_string(flow.dst),
               flow.protocol,
               flow.src_port,
               flow.dst_port,
               flow.icmp,
               flow.tcp_flags,
               verdicts[i].egress.bits,
               verdicts[i].ingress.bits,
               permits[i].bits,
               expected[i].egress.bits,
               expected[i].ingress.bits);
  }
}

void compare(const RuleSet& rules, std::size_t flow_count, std::mt19937_64& random) {
  const auto table = compile(rules);
  ASSERT_TRUE(table) << to_string(table.error());
  const Reference reference(rules);
  const Isa at_start = current_isa();
  for (const Family family : {Family::v4, Family::v6}) {
    std::vector<Flow> flows;
    std::vector<Verdict> expected;
    for (std::size_t i = 0; i < flow_count; ++i) {
      flows.push_back(flow_near(rules.static_rules, family, random));
      expected.push_back(reference.lookup(flows.back()));
    }
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
      if (force_isa(isa)) {
        family == Family::v4 ? expect_verdicts<Key4>(**table, flows, expected, key4_of)
                             : expect_verdicts<Key6>(**table, flows, expected, key6_of);
      }
    }
  }
  EXPECT_TRUE(force_isa(at_start));
}

unsigned worlds_wanted() {
  const char* wanted = std::getenv("PORTCULLIS_WORLDS");
  return wanted != nullptr ? static_cast<unsigned>(std::strtoul(wanted, nullptr, 10)) : kWorlds;
}

TEST(FilterOracle, TableEqualsReferenceInRandomWorlds) {
  const std::uint64_t seed = seed_of_run(20'261'125);
  for (unsigned world = 0; world < worlds_wanted() && !HasFailure(); ++world) {
    SCOPED_TRACE(fmt::format("world {} of seed {}", world, seed));
    std::mt19937_64 random(seed + world);
    RuleSet rules = random() % 2 == 0 ? random_rules(random) : RuleSet{};
    RuleMaker maker(random);
    const std::size_t count = 1 + maker.below(maker.below(4) == 0 ? 300 : 20);
    for (std::size_t i = 0; i < count; ++i) {
      rules.static_rules.push_back(maker.rule());
    }
    compare(rules, kFlows / count + 200, random);
  }
}

/// Too many ports for the port space, so that the tree takes a part.
TEST(FilterOracle, TheTreeTakesWhatProductsCannot) {
  const std::uint64_t seed = seed_of_run(20'261'126);
  std::mt19937_64 random(seed);
  RuleMaker maker(random);
  RuleSet rules;
  for (std::size_t i = 0; i < 6'000; ++i) {
    StaticRule rule = maker.rule();
    rule.protocol = i % 2 == 0 ? kProtocolTcp : kProtocolUdp;
    rule.icmp = {};
    rule.tcp_flags = rule.tcp_flags_mask = 0;
    for (Interval* interval : {&rule.src_ports, &rule.dst_ports}) {
      interval->first = static_cast<std::uint16_t>(random());
      interval->last =
          static_cast<std::uint16_t>(interval->first + random() % (65'536U - interval->first));
    }
    rules.static_rules.push_back(rule);
  }
  const auto bytes = compile_filter(rules, std::size_t{1} << 30U);
  ASSERT_TRUE(bytes) << to_string(bytes.error());
  EXPECT_GT(filter_sizes(bytes->data()).tree_rules, 3'000U);
  compare(rules, 2'000, random);
}

}  // namespace
}  // namespace portcullis::classifier
