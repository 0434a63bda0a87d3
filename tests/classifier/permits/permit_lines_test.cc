// SPDX-License-Identifier: MIT
#include "classifier/permits/permit_lines.h"

#include <gtest/gtest.h>

#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

constexpr std::uint32_t key_of(std::uint16_t port) {
  return (std::uint32_t{kProtocolTcp} << 16U) | port;
}

/// Rules that allow a few ports, and the lines of their outcomes; mode deny.
class PermitLinesTest : public testing::Test {
 protected:
  std::uint32_t rule(std::vector<PortRange> ranges) {
    const PortsIndex ports = cluster_.ports(std::move(ranges));
    cluster_.allow_ingress(cluster_.everything(), cluster_.everything(), ports);
    return static_cast<std::uint32_t>(cluster_.rules.rules.size() - 1);
  }
  void start() {
    outcomes_ = std::make_unique<Outcomes>(cluster_.rules);
    lines_ = std::make_unique<PermitLines>(*outcomes_);
  }
  std::uint32_t line_of(std::vector<std::uint32_t> rules, bool peer_is_node = false) {
    return lines_->line_of(outcomes_->of(rules, peer_is_node));
  }
  bool allows(std::uint32_t line, std::uint16_t port) const {
    std::size_t reached = 0;
    for (std::size_t i = line * PermitLine::kToggles; lines_->words()[i] <= key_of(port); ++i) {
      ++reached;
    }
    return reached % 2 == 1;
  }

  Cluster cluster_;
  std::unique_ptr<Outcomes> outcomes_;
  std::unique_ptr<PermitLines> lines_;
};

TEST_F(PermitLinesTest, HasALineForNothingAndOneForEverything) {
  const auto all = rule({});
  cluster_.rules.port_sets.back().everything = true;
  start();
  EXPECT_EQ(line_of({}), kLineNothing);
  EXPECT_EQ(line_of({all}), kLineEverything);
}

TEST_F(PermitLinesTest, ForgetsWhichRuleAllows) {
  const auto web = rule({tcp_port(80)});
  const auto also_web = rule({tcp_port(80)});
  const auto db = rule({tcp_port(5432)});
  start();
  EXPECT_EQ(line_of({web}), line_of({also_web}));
  EXPECT_EQ(line_of({web}), line_of({web, also_web}));
  EXPECT_NE(line_of({web}), line_of({db}));
  EXPECT_TRUE(allows(line_of({web}), 80));
  EXPECT_FALSE(allows(line_of({web}), 79));
  EXPECT_FALSE(allows(line_of({web}), 81));
}

TEST_F(PermitLinesTest, SaysWhatBothLinesAllow) {
  const auto low = rule({{.protocol = kProtocolTcp, .first = 10, .last = 30}});
  const auto high = rule({{.protocol = kProtocolTcp, .first = 20, .last = 40}, tcp_port(12)});
  const auto apart = rule({tcp_port(99)});
  start();
  const auto both = lines_->both(line_of({low}), line_of({high}));
  EXPECT_EQ(both, lines_->both(line_of({high}), line_of({low})));
  for (std::uint16_t port = 0; port < 100; ++port) {
    EXPECT_EQ(allows(both, port), port == 12 || (port >= 20 && port <= 30)) << port;
  }
  EXPECT_EQ(lines_->both(line_of({low}), line_of({apart})), kLineNothing);
  EXPECT_EQ(lines_->both(line_of({low}), kLineEverything), line_of({low}));
  EXPECT_EQ(lines_->both(kLineWalk, kLineNothing), kLineNothing);
  EXPECT_EQ(lines_->both(kLineWalk, line_of({low})), kLineWalk);
}

TEST_F(PermitLinesTest, GoesOnInTheNextLine) {
  std::vector<PortRange> ranges;
  for (std::uint16_t port = 0; port < 40; port += 2) {
    ranges.push_back(tcp_port(port));
  }
  const auto every_other = rule(ranges);
  const auto four = rule({tcp_port(1), tcp_port(3), tcp_port(5), tcp_port(7)});  // Eight toggles.
  const auto db = rule({tcp_port(5432)});
  start();
  for (const auto line : {line_of({every_other}), line_of({four})}) {
    EXPECT_EQ(lines_->words().size() % PermitLine::kToggles, 0U);
    EXPECT_FALSE(allows(line, 5432));
  }
  for (std::uint16_t port = 0; port < 50; ++port) {
    EXPECT_EQ(allows(line_of({every_other}), port), port < 40 && port % 2 == 0) << port;
    EXPECT_EQ(allows(line_of({four}), port), port < 8 && port % 2 == 1) << port;
  }
  EXPECT_TRUE(allows(line_of({db}), 5432));
}

TEST_F(PermitLinesTest, AsksTheWalkWhereTheNodeMatters) {
  const auto web = rule({tcp_port(80)});
  start();
  EXPECT_EQ(line_of({web}, true), kLineWalk);
  EXPECT_NE(line_of({web}, false), kLineWalk);
}

}  // namespace
}  // namespace portcullis::classifier
