// SPDX-License-Identifier: MIT
#include "config/non_ip_words.h"

#include <gtest/gtest.h>

namespace portcullis::config {
namespace {

NumberRange read(std::string_view text) {
  const auto types = parse_non_ip(text);
  EXPECT_TRUE(types) << text << ": " << (types ? "" : types.error().message);
  return types.value_or(NumberRange{0, 0});
}

void expect_refused(std::string_view text, std::string_view part) {
  const auto types = parse_non_ip(text);
  ASSERT_FALSE(types) << text;
  EXPECT_NE(types.error().message.find(part), std::string::npos) << types.error().message;
}

TEST(NonIpWords, StandForTheirEtherTypes) {
  EXPECT_EQ(read("arp"), NumberRange(0x0806, 0x0806));
  EXPECT_EQ(read("lldp"), read("0x88cc"));
  EXPECT_EQ(read("lldp"), read("35020"));
  EXPECT_EQ(read("lacp"), read("0X8809"));
  EXPECT_EQ(read("eapol"), read("0x888E"));
  EXPECT_EQ(read("mpls"), NumberRange(0x8847, 0x8848));
  EXPECT_EQ(read("stp"), NumberRange(kNonIpStp, kNonIpStp));
  EXPECT_EQ(read("0x0600"), NumberRange(0x0600, 0x0600));
  EXPECT_EQ(read("65535"), NumberRange(0xffff, 0xffff));
}

TEST(NonIpWords, NeverStandForIpOrForWhatMayHideIt) {
  for (const char* text : {"0x0800", "2048", "0x86dd", "0x86DD"}) {
    expect_refused(text, "is IP, which the policies judge");
  }
  for (const char* text : {"0x8100", "0x88a8", "0x9100", "0x9200", "0x9300", "0x893f", "0x8926"}) {
    expect_refused(text, "is a tag");
  }
  for (const char* text : {"0", "0x05ff", "66", "0x10000", "4294967295"}) {
    expect_refused(text, "is no EtherType");
  }
}

TEST(NonIpWords, AreSuggestedWhereTheyAreMisspelt) {
  expect_refused("lldpp", "did you mean \"lldp\"?");
  expect_refused("spt", "did you mean \"stp\"?");
  for (const char* text : {"", "0x", "0x88cg", "-5", "ARP", "99999999999", "0x88cc "}) {
    expect_refused(text, "write one of arp, lldp, stp, lacp, eapol, mpls");
  }
}

TEST(NonIpWords, AreSaidAsTheyAreWritten) {
  for (const char* text : {"arp", "lldp", "stp", "lacp", "eapol", "mpls", "0x88f7"}) {
    EXPECT_EQ(non_ip_name(read(text)), text);
  }
  EXPECT_EQ(non_ip_name(read("35020")), "lldp");
}

TEST(NonIpWords, TellWhatCarriesPacketsThatNobodyJudges) {
  for (const char* text : {"mpls", "0x8847", "0x8864", "0x88e5", "0x6558"}) {
    EXPECT_TRUE(carries_packets(read(text))) << text;
  }
  for (const char* text : {"arp", "lldp", "stp", "lacp", "eapol", "0x88f7", "0x8863"}) {
    EXPECT_FALSE(carries_packets(read(text))) << text;
  }
}

}  // namespace
}  // namespace portcullis::config
