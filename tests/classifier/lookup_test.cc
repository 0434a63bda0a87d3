// SPDX-License-Identifier: MIT
#include "classifier/lookup.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

/// web (10.0.0.1, fd00::1) on a node (192.0.2.1, 2001:db8::1) and db (10.0.0.2, fd00::2), whose
/// PostgreSQL port web may reach; mode deny.
class Lookup : public testing::Test {
 protected:
  void SetUp() override {
    cluster_.rules.pod_cidrs = {block("10.0.0.0/16"), block("fd00::/64")};
    const auto node = cluster_.node({ip("192.0.2.1"), ip("2001:db8::1")});
    const auto web = cluster_.set({cluster_.pod({ip("10.0.0.1"), ip("fd00::1")}, node)});
    const auto db = cluster_.set({cluster_.pod({ip("10.0.0.2"), ip("fd00::2")})});
    const auto postgres = cluster_.ports({tcp_port(5432)});
    cluster_.allow_ingress(db, web, postgres);
    cluster_.allow_ingress(web, db, postgres).direction = Direction::egress;
    table_ = std::move(compile(cluster_.rules).value());
  }

  Verdict of(const char* src, const char* dst, std::uint16_t port) const {
    return lookup(*table_, tcp(src, dst, port));
  }

  Cluster cluster_;
  std::unique_ptr<const Table> table_;
};

TEST_F(Lookup, AllowsWhatBothDirectionsAllow) {
  for (const auto& [src, dst] : {std::pair{"10.0.0.1", "10.0.0.2"}, {"fd00::1", "fd00::2"}}) {
    const Verdict verdict = of(src, dst, 5432);
    EXPECT_TRUE(verdict.allowed());
    EXPECT_EQ(verdict.ingress.rule(), rule_id(std::size_t{0}));
    EXPECT_EQ(verdict.egress.rule(), rule_id(std::size_t{1}));
    EXPECT_FALSE(of(src, dst, 5433).allowed());
    EXPECT_FALSE(of(dst, src, 5432).allowed());
  }
}

TEST_F(Lookup, LetsAPodReachItself) {
  EXPECT_EQ(of("10.0.0.1", "10.0.0.1", 1).egress, Decision::allow(rule_id(Builtin::self)));
  EXPECT_EQ(of("fd00::1", "fd00::1", 1).ingress, Decision::allow(rule_id(Builtin::self)));
  EXPECT_EQ(of("192.0.2.1", "192.0.2.1", 1).ingress, Decision::deny(rule_id(Builtin::transit)));
}

TEST_F(Lookup, LetsTheOwnNodeInAndNoOther) {
  EXPECT_EQ(of("192.0.2.1", "10.0.0.1", 1).ingress, Decision::allow(rule_id(Builtin::own_node)));
  EXPECT_EQ(of("fd00::1", "2001:db8::1", 1).egress, Decision::allow(rule_id(Builtin::own_node)));
  EXPECT_EQ(of("192.0.2.1", "10.0.0.2", 1).ingress, Decision::deny(rule_id(Builtin::default_deny)));
}

TEST_F(Lookup, DeniesUnknownAddressesOfPodCidrs) {
  EXPECT_EQ(of("10.0.9.9", "10.0.0.2", 5432).egress,
            Decision::deny(rule_id(Builtin::unidentified)));
  EXPECT_EQ(of("fd00::2", "fd00::9", 1).ingress, Decision::deny(rule_id(Builtin::unidentified)));
}

TEST_F(Lookup, TakesBurstsOfAnyLength) {
  for (const std::size_t n : {0U, 1U, 63U, 64U, 65U, 200U}) {
    std::vector<Key4> keys;
    for (std::size_t i = 0; i < n; ++i) {
      keys.push_back(
          key4_of(tcp("10.0.0.1", "10.0.0.2", static_cast<std::uint16_t>(5432 + i % 3))));
    }
    std::vector<Verdict> verdicts(n);
    lookup(*table_, keys, verdicts);
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_EQ(verdicts[i].allowed(), i % 3 == 0) << i << " of " << n;
    }
  }
}

TEST(Isa, IsTheBestHereUnlessForced) {
  const Isa at_start = current_isa();
  EXPECT_TRUE(std::getenv("PORTCULLIS_ISA") != nullptr || at_start == best_isa());
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    const auto forced = force_isa(isa);
    EXPECT_EQ(forced.has_value(), supported(isa));
    EXPECT_TRUE(!forced || current_isa() == isa);
  }
  EXPECT_TRUE(force_isa(at_start));
}

}  // namespace
}  // namespace portcullis::classifier
