// SPDX-License-Identifier: MIT
// All packets of a flow meet: both directions, fragments, ICMP errors about it, with tags or
// without.
#include "dataplane/packet/affinity.h"

#include <vector>

#include <gtest/gtest.h>

#include "dataplane/packet/parse.h"
#include "tests/support/packet.h"

namespace portcullis::dataplane {
namespace {

using test::Around;
using test::Bytes;
using test::Ends;

constexpr Ends kEnds4{"10.1.2.3", "10.9.8.7", 40'000, 5'000};
constexpr Ends kEnds6{"fd00:1::3", "fd00:2:3::7", 40'000, 5'000};
constexpr std::size_t kL3 = wire::kEthernetBytes;

/// Toeplitz' hash as its definition has it, bit by bit.
std::uint32_t toeplitz(const std::vector<std::uint8_t>& input) {
  const auto key_bit = [](std::size_t i) {
    return static_cast<std::uint32_t>(kAffinityKey >> (15 - i % 16) & 1U);
  };
  std::uint32_t hash = 0;
  for (std::size_t i = 0; i < input.size() * 8; ++i) {
    if ((input[i / 8] >> (7 - i % 8) & 1U) != 0) {
      for (std::size_t bit = 0; bit < 32; ++bit) {
        hash ^= key_bit(i + bit) << (31 - bit);
      }
    }
  }
  return hash;
}

/// What a card hashes of an untagged packet: its addresses as they lie in it.
std::uint16_t of_addresses(const Bytes& frame) {
  const bool v4 = frame.at(kL3) >> 4U == 4;
  const auto from =
      frame.begin() + static_cast<std::ptrdiff_t>(kL3 + (v4 ? wire::kIpv4Src : wire::kIpv6Src));
  return static_cast<std::uint16_t>(toeplitz({from, from + (v4 ? 8 : 32)}));
}

class Affinity : public testing::TestWithParam<Ends> {
 protected:
  const Ends ends_ = GetParam();
  const Ends back_ = test::turned(GetParam());
  const Bytes packet_ = test::udp_frame(ends_, Bytes(100, 7));
  const std::uint16_t of_flow_ = affinity(packet_);
};
INSTANTIATE_TEST_SUITE_P(Families, Affinity, testing::Values(kEnds4, kEnds6));

TEST_P(Affinity, IsToeplitzHashOfTheAddresses) {
  EXPECT_EQ(of_flow_, of_addresses(packet_));
  EXPECT_NE(of_flow_, 0);
}

TEST_P(Affinity, IsTheSameInBothDirectionsAndOfAllProtocols) {
  EXPECT_EQ(affinity(test::udp_frame(back_)), of_flow_);
  for (const Ends& ends : {ends_, back_}) {
    EXPECT_EQ(affinity(test::tcp_frame(ends, test::kSyn)), of_flow_);
    EXPECT_EQ(affinity(test::sctp_frame(ends, 1)), of_flow_);
    EXPECT_EQ(affinity(test::ping_frame(ends, false, 7)), of_flow_);
    EXPECT_EQ(affinity(test::ping_frame(ends, true, 7)), of_flow_);
    EXPECT_EQ(affinity(test::ip_frame(ends, 47, Bytes(8))), of_flow_);
  }
}

TEST_P(Affinity, SeesThroughTags) {
  for (const std::vector<std::uint16_t>& tags :
       {std::vector<std::uint16_t>{0x8100}, std::vector<std::uint16_t>{0x88a8, 0x8100}}) {
    EXPECT_EQ(affinity(test::udp_frame(back_, {}, {.vlan_types = tags})), of_flow_);
    EXPECT_EQ(affinity(test::tcp_frame(ends_, test::kAck, {.vlan_types = tags})), of_flow_);
  }
}

TEST_P(Affinity, IsTheSameOfAllFragments) {
  for (const Bytes& part : test::cut(packet_, 48, 1)) {
    EXPECT_EQ(affinity(part), of_flow_);
  }
  const std::uint8_t echo = ends_.src == kEnds4.src ? wire::kIcmpEcho : wire::kIcmpv6Echo;
  const Bytes ping = test::icmp_frame(ends_, {.type = echo, .body = Bytes(100)});
  for (const Bytes& part : test::cut(ping, 48, 2)) {
    EXPECT_EQ(affinity(part), of_flow_);
  }
}

TEST_P(Affinity, OfAnErrorIsThatOfWhatItQuotes) {
  const bool v4 = ends_.src == kEnds4.src;
  // From a router on the way, to either end.
  EXPECT_EQ(affinity(test::unreachable_frame({v4 ? "172.16.5.1" : "fd99::1", ends_.src}, packet_)),
            of_flow_);
  EXPECT_EQ(affinity(test::unreachable_frame({v4 ? "172.16.6.1" : "fd98::1", back_.src},
                                             test::udp_frame(back_, Bytes(100)))),
            of_flow_);
  // And of a ping.
  EXPECT_EQ(affinity(test::unreachable_frame({v4 ? "172.16.5.1" : "fd99::1", ends_.src},
                                             test::ping_frame(ends_, false, 3),
                                             v4 ? 28 : 48)),
            of_flow_);
}

TEST_P(Affinity, OfAnErrorInFragmentsIsThatOfItsOwnAddresses) {
  const bool v4 = ends_.src == kEnds4.src;
  const Ends error{v4 ? "172.16.5.1" : "fd99::1", ends_.src};
  const std::vector<Bytes> parts =
      test::cut(test::unreachable_frame(error, packet_, 120), v4 ? 64 : 96, 3);
  ASSERT_GT(parts.size(), 1U);
  for (const Bytes& part : parts) {
    EXPECT_EQ(affinity(part), affinity(test::udp_frame({error.src, error.dst, 1, 2})));
  }
}

TEST_P(Affinity, LooksBehindExtensionHeadersAndOptions) {
  const bool v4 = ends_.src == kEnds4.src;
  Around around;
  if (v4) {
    around.ipv4_options = {1, 1, 1, 1};
  } else {
    around.extensions = {{60, {0, 0, 1, 4, 0, 0, 0, 0}}};
  }
  EXPECT_EQ(affinity(test::udp_frame(back_, {}, around)), of_flow_);
}

TEST(AffinityOfOthers, IsZeroOfWhatHasNoFlow) {
  EXPECT_EQ(affinity({}), 0);
  EXPECT_EQ(affinity(Bytes(13)), 0);
  EXPECT_EQ(affinity(Bytes(64)), 0);
  EXPECT_EQ(affinity(test::arp_frame(1, "10.0.0.1", "10.0.0.2")), 0);
  EXPECT_EQ(affinity(test::nd_frame(135, "fd00::1", "ff02::1:ff00:2", "fd00::2")), 0);
  Bytes cut_short = test::udp_frame(kEnds6);
  cut_short.resize(wire::kEthernetBytes + wire::kIpv6Bytes - 1);
  EXPECT_EQ(affinity(cut_short), 0);
}

}  // namespace
}  // namespace portcullis::dataplane
