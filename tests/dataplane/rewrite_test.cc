// SPDX-License-Identifier: MIT
#include "dataplane/packet/rewrite.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"
#include "tests/support/packet.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;

constexpr test::Ends kEnds{"10.0.0.1", "10.9.8.7", 1, 2};
constexpr test::Ends kEnds6{"fd00::1", "fd00::2", 1, 2};

TEST(Rewrite, ReadsAddressesOfBothFamilies) {
  EXPECT_EQ(source_of(test::udp_frame(kEnds), 14), parse_ip("10.0.0.1").value());
  EXPECT_EQ(destination_of(test::udp_frame(kEnds), 14), parse_ip("10.9.8.7").value());
  EXPECT_EQ(source_of(test::udp_frame(kEnds6), 14), parse_ip("fd00::1").value());
  EXPECT_EQ(destination_of(test::udp_frame(kEnds6), 14), parse_ip("fd00::2").value());
}

TEST(Rewrite, KeepsTheIpv4ChecksumRightForEveryTtl) {
  // Every sum that a header can have: the identification runs through all values.
  for (unsigned id = 0; id <= 0xffff; ++id) {
    Bytes frame = test::udp_frame(kEnds, {}, {.ttl = static_cast<std::uint8_t>(1 + id % 255)});
    wire::store16(&frame[14 + 4], id);
    test::mend_ipv4(frame);
    Bytes expected = frame;
    --expected[14 + wire::kIpv4Ttl];
    test::mend_ipv4(expected);
    decrement_hop_limit(frame, 14);
    ASSERT_EQ(frame, expected) << "identification " << id;
  }
}

TEST(Rewrite, DecrementsTheIpv6HopLimit) {
  Bytes frame = test::udp_frame(kEnds6, {}, {.ttl = 7});
  decrement_hop_limit(frame, 14);
  EXPECT_EQ(hop_limit(frame, 14), 6);
}

TEST(Rewrite, TurnsAnEchoAround) {
  for (const test::Ends& ends : {kEnds, kEnds6}) {
    Bytes frame = test::ping_frame(ends, false, 77);
    Bytes expected = test::ping_frame(test::turned(ends), true, 77);
    std::swap_ranges(expected.begin(), expected.begin() + 6, expected.begin() + 6);
    ASSERT_TRUE(turn_echo_around(frame, 14));
    EXPECT_EQ(frame, expected);
  }
}

TEST(Rewrite, LeavesOtherPacketsAlone) {
  for (const Bytes& other :
       {test::udp_frame(kEnds),
        test::udp_frame(kEnds6),
        test::ping_frame(kEnds, true, 1),
        test::cut(test::icmp_frame(kEnds, {.type = 8, .body = Bytes(64)}), 48, 1)[0],
        test::cut(test::icmp_frame(kEnds, {.type = 8, .body = Bytes(64, 8)}), 48, 1)[1],
        test::icmp_frame(kEnds, {.type = 13})}) {
    Bytes frame = other;
    EXPECT_FALSE(turn_echo_around(frame, 14));
    EXPECT_EQ(frame, other);
  }
}

}  // namespace
}  // namespace portcullis::dataplane
