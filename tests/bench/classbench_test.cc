// SPDX-License-Identifier: MIT
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include <gtest/gtest.h>

#include "bench/classbench/filters.h"

namespace portcullis::bench {
namespace {

TEST(ParseFilter, ReadsEveryField) {
  const auto rule = parse_filter(
      "@194.186.113.234/32\t11.5.163.0/24\t0 : 65535\t1521 : 1526\t0x06/0xFF\t0x1000/0x1200\t");
  ASSERT_TRUE(rule) << to_string(rule.error());
  EXPECT_EQ(to_string(rule->src), "194.186.113.234/32");
  EXPECT_EQ(to_string(rule->dst), "11.5.163.0/24");
  EXPECT_EQ(rule->src_port_first, 0);
  EXPECT_EQ(rule->src_port_last, 65535);
  EXPECT_EQ(rule->dst_port_first, 1521);
  EXPECT_EQ(rule->dst_port_last, 1526);
  EXPECT_EQ(rule->protocol, 6);
  EXPECT_EQ(rule->protocol_mask, 0xff);
  EXPECT_EQ(rule->tcp_flags, 0x10) << "ACK";
  EXPECT_EQ(rule->tcp_flags_mask, 0x12) << "ACK and SYN";
}

TEST(ParseFilter, TakesRulesWithoutFlags) {
  const auto rule = parse_filter("@0.0.0.0/0 10.0.0.0/8 0 : 65535 0 : 65535 0x00/0x00");
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->tcp_flags_mask, 0);
}

TEST(ParseFilter, RefusesWhatIsNoRule) {
  for (const char* line : {"",
                           "10.0.0.0/8 10.0.0.0/8 0 : 1 0 : 1 0x06/0xFF",
                           "@10.0.0.0/33 10.0.0.0/8 0 : 1 0 : 1 0x06/0xFF",
                           "@10.0.0.256/8 10.0.0.0/8 0 : 1 0 : 1 0x06/0xFF",
                           "@10.0.0.0/8 10.0.0.0/8 0 : 65536 0 : 1 0x06/0xFF",
                           "@10.0.0.0/8 10.0.0.0/8 2 : 1 0 : 1 0x06/0xFF",
                           "@10.0.0.0/8 10.0.0.0/8 0 : 1 0 : 1 0x06/0xFF 0x00/0x00 more"}) {
    EXPECT_FALSE(parse_filter(line)) << line;
  }
}

TEST(LoadFilters, ReadsTheSamplesPacked) {
  const std::filesystem::path root = std::getenv("SOURCE_ROOT");
  for (const auto& [name, count] : {std::pair{"acl1_1k", 953U}, std::pair{"acl1_941", 941U}}) {
    const auto filters = load_filters(root / "bench/rules" / (std::string(name) + ".rules.gz"));
    ASSERT_TRUE(filters) << to_string(filters.error());
    EXPECT_EQ(filters->size(), count);
  }
}

TEST(LoadFilters, NamesTheLineThatIsNoRule) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("classbench_test." + std::to_string(getpid()) + ".rules");
  std::ofstream(path) << "@0.0.0.0/0 10.0.0.0/8 0 : 1 0 : 1 0x00/0x00\n\nrule\n";
  const auto filters = load_filters(path);
  std::filesystem::remove(path);
  ASSERT_FALSE(filters);
  EXPECT_EQ(filters.error().where, path.string() + ":3");
}

TEST(MakeFilters, GivesDifferentRulesAndTheSameForEqualShapes) {
  for (const FilterKind kind : kFilterKinds) {
    const FilterShape shape{.kind = kind, .rules = 2000, .seed = 7};
    const FilterSet filters = make_filters(shape);
    EXPECT_EQ(filters.size(), 2000U);
    EXPECT_EQ(std::set<FilterRule>(filters.begin(), filters.end()).size(), 2000U);
    EXPECT_EQ(filters, make_filters(shape));
    EXPECT_NE(filters, make_filters({.kind = kind, .rules = 2000, .seed = 8}));
  }
}

/// The share of rules of which something is true.
template <typename Holds>
double share(const FilterSet& filters, Holds holds) {
  return static_cast<double>(std::ranges::count_if(filters, holds)) /
         static_cast<double>(filters.size());
}

TEST(MakeFilters, LooksLikeTheSamples) {
  const std::filesystem::path root = std::getenv("SOURCE_ROOT");
  for (const FilterKind kind : {FilterKind::acl, FilterKind::fw}) {
    const char* name = kind == FilterKind::acl ? "acl1_1k.rules.gz" : "fw1_58k.rules.gz";
    const auto sample = load_filters(root / "bench/rules" / name);
    ASSERT_TRUE(sample) << to_string(sample.error());
    const FilterSet made = make_filters({.kind = kind, .rules = 10'000});
    const auto alike = [&](const char* what, auto holds) {
      EXPECT_NEAR(share(made, holds), share(*sample, holds), 0.05) << name << ": " << what;
    };
    alike("host as source", [](const FilterRule& rule) { return rule.src.length == 32; });
    alike("host as destination", [](const FilterRule& rule) { return rule.dst.length == 32; });
    alike("wide source", [](const FilterRule& rule) { return rule.src.length < 8; });
    alike("TCP", [](const FilterRule& rule) { return rule.protocol == 6; });
    alike("any protocol", [](const FilterRule& rule) { return rule.protocol_mask == 0; });
    alike("one destination port",
          [](const FilterRule& rule) { return rule.dst_port_first == rule.dst_port_last; });
    alike("any source port", [](const FilterRule& rule) {
      return rule.src_port_first == 0 && rule.src_port_last == 65535;
    });
  }
}

TEST(MakeFilterTrace, HasNineInTenKeysInsideARule) {
  const FilterSet filters = make_filters({.kind = FilterKind::acl, .rules = 100});
  const auto keys = make_filter_trace(filters, 1);
  ASSERT_EQ(keys.size(), 262'144U);
  const auto in_rule = [&](const classifier::Key4& key) {
    return std::ranges::any_of(filters, [&](const FilterRule& rule) { return holds(rule, key); });
  };
  EXPECT_GE(std::ranges::count_if(keys, in_rule), 262'144 * 9 / 10);
}

}  // namespace
}  // namespace portcullis::bench
