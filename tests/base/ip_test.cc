// SPDX-License-Identifier: MIT
#include "base/ip.h"

#include <gtest/gtest.h>

namespace portcullis {
namespace {

TEST(ParsePrefix, ReadsWhatTheApiServerReads) {
  struct Case {
    const char* text;
    const char* read;
    bool sloppy;
  };
  for (const Case& c : {Case{"10.0.0.0/8", "10.0.0.0/8", false},
                        Case{"10.1.2.3/8", "10.0.0.0/8", true},
                        Case{"010.0.0.0/8", "10.0.0.0/8", true},
                        Case{"0.0.0.0/0", "0.0.0.0/0", false},
                        Case{"2001:db8::/64", "2001:db8::/64", false},
                        Case{"2001:db8::1/64", "2001:db8::/64", true},
                        Case{"::ffff:10.0.0.0/104", "10.0.0.0/8", true}}) {
    bool sloppy = false;
    const auto prefix = parse_prefix(c.text, &sloppy);
    ASSERT_TRUE(prefix) << c.text;
    EXPECT_EQ(to_string(*prefix), c.read);
    EXPECT_EQ(sloppy, c.sloppy) << c.text;
  }
}

TEST(ParsePrefix, RefusesWhatIsNoBlock) {
  for (const char* text : {"",
                           "/",
                           "10.0.0.0",
                           "10.0.0.0/33",
                           "10.0.0/8",
                           "10.0.0.0/-1",
                           "10.0.0.0/ 8",
                           "::/129",
                           "10.0.0.0/8x",
                           "256.0.0.0/8",
                           "a/8"}) {
    EXPECT_FALSE(parse_prefix(text)) << text;
  }
}

TEST(ParseIp, IsStrict) {
  EXPECT_TRUE(parse_ip("10.0.0.1"));
  EXPECT_TRUE(parse_ip("fd00::1"));
  for (const char* text : {"", "10.0.0.01", "10.0.0", "::ffff:10.0.0.1", "fe80::1%eth0"}) {
    EXPECT_FALSE(parse_ip(text)) << text;
  }
}

TEST(Prefix, ContainsItsOwnFamilyOnly) {
  const auto all_v4 = parse_prefix("0.0.0.0/0").value();
  EXPECT_TRUE(all_v4.contains(parse_ip("255.255.255.255").value()));
  EXPECT_FALSE(all_v4.contains(parse_ip("::1").value()));
  const auto odd = parse_prefix("10.0.0.64/27").value();
  EXPECT_TRUE(odd.contains(parse_ip("10.0.0.95").value()));
  EXPECT_FALSE(odd.contains(parse_ip("10.0.0.96").value()));
  EXPECT_EQ(to_string(last_address(odd)), "10.0.0.95");
}

TEST(NextAddress, CarriesAndWraps) {
  EXPECT_EQ(to_string(next_address(parse_ip("10.0.0.255").value())), "10.0.1.0");
  EXPECT_EQ(to_string(next_address(parse_ip("255.255.255.255").value())), "0.0.0.0");
  EXPECT_EQ(to_string(previous_address(parse_ip("10.0.1.0").value())), "10.0.0.255");
}

}  // namespace
}  // namespace portcullis
