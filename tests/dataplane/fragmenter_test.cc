// SPDX-License-Identifier: MIT
// A router's narrow port: what leaves of packets that are larger than it takes, what is counted,
// and that every buffer comes back. Forwarder and transmit are driven by hand, on memory rings.
#include "dataplane/dpdk/fragmenter.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <gtest/gtest.h>

#include "dataplane/dpdk/forward_node.h"
#include "dataplane/dpdk/port.h"
#include "dataplane/dpdk/transmit.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/rewrite.h"
#include "tests/dataplane/ring_port.h"

namespace portcullis::dataplane {
namespace {

using test::Around;
using test::Bytes;
using test::Ends;

constexpr Ends kWideToNarrow{"10.0.0.1", "10.0.0.2", 40'000, 53};
constexpr Ends kWideToNarrow6{"fd00::1", "fd00::2", 40'000, 53};
constexpr PortIndex kWide = 0;
constexpr PortIndex kNarrow = 1;
constexpr std::uint16_t kWideMtu = 9'000;
constexpr std::uint16_t kNarrowMtu = 1'280;
/// Of a fragment without options: what fits behind 20 bytes, in units of eight.
constexpr std::size_t kPieceBytes = 1'256;
constexpr std::size_t kRingRoom = 1'023;
constexpr std::uint32_t kBuffers = 2'047;
constexpr std::size_t kL3 = wire::kEthernetBytes;

IpAddress ip(const char* text) {
  return parse_ip(text).value();
}

std::uint16_t field(const Bytes& frame, std::size_t offset) {
  return wire::load16(&frame.at(kL3 + offset));
}
std::size_t header_bytes(const Bytes& frame) {
  return (frame.at(kL3) & 0xfU) * std::size_t{4};
}
std::size_t begin_of(const Bytes& frame) {
  return (field(frame, wire::kIpv4Fragment) & wire::kIpv4OffsetMask) * wire::kFragmentUnit;
}
bool has_more(const Bytes& frame) {
  return (field(frame, wire::kIpv4Fragment) & wire::kIpv4MoreFragments) != 0;
}
Bytes part(const Bytes& frame, std::size_t from, std::size_t to) {
  return {frame.begin() + static_cast<std::ptrdiff_t>(from),
          frame.begin() + static_cast<std::ptrdiff_t>(to)};
}
Bytes options_of(const Bytes& frame) {
  return part(frame, kL3 + wire::kIpv4Bytes, kL3 + header_bytes(frame));
}
Bytes payload_of(const Bytes& frame) {
  return part(frame, kL3 + header_bytes(frame), kL3 + field(frame, wire::kIpv4Total));
}

/// A UDP datagram whose IPv4 packet has so many bytes, no two stretches of it alike.
Bytes datagram(std::size_t ip_bytes, bool dont_fragment = false, const Around& around = {}) {
  const std::size_t headers = wire::kIpv4Bytes + around.ipv4_options.size() + wire::kUdpBytes;
  Bytes payload(ip_bytes - headers);
  for (std::size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  }
  Bytes frame = test::udp_frame(kWideToNarrow, payload, around);
  wire::store16(&frame.at(kL3 + wire::kIpv4Fragment), dont_fragment ? wire::kIpv4DontFragment : 0U);
  test::mend_ipv4(frame);
  return frame;
}

/// Each is a packet that this link takes, one hop further; together they are what was sent.
void expect_whole(const std::vector<Bytes>& got, const Bytes& sent) {
  Bytes together;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const Bytes& one = got[i];
    const std::size_t total = field(one, wire::kIpv4Total);
    EXPECT_LE(total, kNarrowMtu);
    ASSERT_EQ(one.size(), std::max<std::size_t>(60, kL3 + total));
    EXPECT_EQ(part(one, kL3 + total, one.size()), Bytes(one.size() - kL3 - total, 0));
    EXPECT_EQ(parse(one).reason, DropReason::none);
    EXPECT_EQ(checksum_finish(checksum_add(0, {&one[kL3], header_bytes(one)})), 0);
    EXPECT_EQ(hop_limit(one, kL3) + 1, hop_limit(sent, kL3));
    for (const std::size_t same : {wire::kIpv4Id, wire::kIpv4Src, wire::kIpv4Dst}) {
      EXPECT_EQ(field(one, same), field(sent, same));
    }
    EXPECT_EQ(one[kL3 + wire::kIpv4Protocol], sent[kL3 + wire::kIpv4Protocol]);
    // The neighbour's MAC and the port's; then IPv4.
    EXPECT_EQ(part(one, 0, kL3), (Bytes{2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 8, 0}));
    EXPECT_EQ(begin_of(one), begin_of(sent) + together.size());
    const bool last = i + 1 == got.size();
    EXPECT_EQ(has_more(one), !last || has_more(sent));
    const Bytes payload = payload_of(one);
    EXPECT_TRUE(last || payload.size() % wire::kFragmentUnit == 0);
    together.insert(together.end(), payload.begin(), payload.end());
  }
  EXPECT_EQ(together, payload_of(sent));
}

class Fragmenter : public testing::Test {
 protected:
  void SetUp() override {
    test::test_eal();
    static int turns = 0;
    const std::string suffix = std::to_string(turns++);
    for (const char* name : {"w", "n", "u"}) {
      rings_.push_back(std::make_unique<test::RingPort>(name + suffix));
    }
    using Role = config::Port::Role;
    config::Config config{.eal = test::test_eal_options()};
    config.eal.mbufs = kBuffers;
    config.ports = {{.name = "wide",
                     .vdev = rings_[0]->device(),
                     .role = Role::pod,
                     .addresses = {ip("10.0.0.1"), ip("fd00::1")},
                     .mtu = kWideMtu},
                    {.name = "narrow",
                     .vdev = rings_[1]->device(),
                     .role = Role::pod,
                     .addresses = {ip("10.0.0.2"), ip("fd00::2")},
                     .mtu = kNarrowMtu},
                    {.name = "up",
                     .vdev = rings_[2]->device(),
                     .role = Role::uplink,
                     .addresses = {ip("192.0.2.1"), ip("2001:db8::1")}}};
    config.mode.kind = config::Mode::Kind::node;
    auto pool = BufferPool::make(config.eal, kWideMtu + wire::kEthernetBytes);
    ASSERT_TRUE(pool.has_value()) << to_string(pool.error());
    pool_ = *std::move(pool);
    std::vector<MacAddress> macs;
    for (const config::Port& options : config.ports) {
      auto port = Port::open(options, {0}, *pool_);
      ASSERT_TRUE(port.has_value()) << to_string(port.error());
      ASSERT_TRUE((*port)->start().has_value());
      macs.push_back((*port)->mac());
      ports_.push_back(*std::move(port));
    }
    node_ = std::make_unique<ForwardNode>(config, macs);
    out_ = std::make_unique<Transmit>(
        ports_,
        *pool_,
        Share{.ways_out = std::vector<WayOut>(ports_.size(), {.by = WayOut::By::queue}),
              .ports_max = ports_.size()});
  }
  void TearDown() override {
    out_->flush();
    std::ranges::for_each(rings_, [](auto& ring) { ring->take(); });
    EXPECT_EQ(rte_mempool_in_use_count(pool_->get()), 0U) << "a buffer is lost";
    ports_.clear();
    pool_.reset();
  }

  Parcel parcel(const Bytes& frame, PortIndex port) {
    rte_mbuf* const packet = rte_pktmbuf_alloc(pool_->get());
    char* const room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size()));
    std::copy(frame.begin(), frame.end(), room);
    return {.packet = packet,
            .bytes = {rte_pktmbuf_mtod(packet, std::uint8_t*), frame.size()},
            .port = port,
            .l3_offset = kL3};
  }
  void resolve() {
    node_->link(parcel(test::arp_frame(2, "10.0.0.2", "192.0.2.1"), kNarrow), 0, *out_);
  }
  void forward(const Bytes& frame) { node_->forward(parcel(frame, kWide), 0, *out_); }
  std::vector<Bytes> taken(PortIndex port) {
    out_->flush();
    return rings_[port]->take();
  }
  /// What leaves at the narrow port.
  std::vector<Bytes> pass(const Bytes& frame) {
    forward(frame);
    return taken(kNarrow);
  }
  std::uint64_t drops() { return out_->losses().all.get(); }
  std::uint64_t drops(DropReason reason) {
    return out_->losses().drops.at(static_cast<std::size_t>(reason)).get();
  }
  /// Takes all buffers of the pool but `left`.
  std::vector<rte_mbuf*> take_buffers(unsigned left) {
    std::vector<rte_mbuf*> buffers(rte_mempool_avail_count(pool_->get()) - left);
    std::ranges::generate(buffers, [this] { return rte_pktmbuf_alloc(pool_->get()); });
    EXPECT_EQ(std::ranges::count(buffers, nullptr), 0);
    return buffers;
  }
  /// Sends small packets until the narrow port's ring has only so much room.
  void fill_ring(std::size_t left) {
    for (std::size_t i = left; i < kRingRoom; ++i) {
      forward(datagram(60));
    }
    out_->flush();
    ASSERT_EQ(drops(), 0U);
  }

  std::vector<std::unique_ptr<test::RingPort>> rings_;
  std::unique_ptr<BufferPool> pool_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::unique_ptr<ForwardNode> node_;
  std::unique_ptr<Transmit> out_;
};

TEST_F(Fragmenter, CutsWhatIsLargerThanThePortTakes) {
  resolve();
  std::vector<std::size_t> sizes{kNarrowMtu - 1, 4'000, kWideMtu - 1, kWideMtu};
  for (const std::size_t pieces : {1, 2, 3}) {
    for (std::size_t off = 0; off < 20; ++off) {
      sizes.push_back(wire::kIpv4Bytes + pieces * kPieceBytes - 8 + off);
    }
  }
  for (const std::size_t size : sizes) {
    SCOPED_TRACE(size);
    const Bytes sent = datagram(size);
    const std::vector<Bytes> got = pass(sent);
    const std::size_t payload = size - wire::kIpv4Bytes;
    ASSERT_EQ(got.size(), size <= kNarrowMtu ? 1 : (payload + kPieceBytes - 1) / kPieceBytes);
    expect_whole(got, sent);
  }
  EXPECT_EQ(drops(), 0U);
}

TEST_F(Fragmenter, TellsSendersThatForbidFragments) {
  resolve();
  EXPECT_EQ(pass(datagram(kNarrowMtu, true)).size(), 1U);
  EXPECT_TRUE(pass(datagram(kNarrowMtu + 1, true)).empty());
  const std::vector<Bytes> told = taken(kWide);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(wire::load16(&told[0].at(parse(told[0]).l4_offset)), wire::kIcmpUnreachable << 8U | 4U);
  EXPECT_EQ(wire::load16(&told[0].at(kL3 + 20 + 6)), kNarrowMtu);
  EXPECT_EQ(drops(DropReason::packet_too_big), 1U);

  EXPECT_TRUE(pass(test::udp_frame(kWideToNarrow6, Bytes(kNarrowMtu))).empty());
  const std::vector<Bytes> told6 = taken(kWide);
  ASSERT_EQ(told6.size(), 1U);
  EXPECT_EQ(wire::load16(&told6[0].at(parse(told6[0]).l4_offset)), wire::kIcmpv6TooBig << 8U);
  EXPECT_EQ(drops(DropReason::packet_too_big), 2U);
  EXPECT_EQ(drops(), 2U);
}

TEST_F(Fragmenter, CutsFragmentsAgain) {
  resolve();
  const Bytes sent = datagram(8'000);
  Bytes together;
  for (const Bytes& fragment : test::cut(sent, 3'000, 77)) {
    const std::vector<Bytes> got = pass(fragment);
    EXPECT_GT(got.size(), 1U);
    expect_whole(got, fragment);
    for (const Bytes& one : got) {
      EXPECT_EQ(begin_of(one), together.size());
      const Bytes payload = payload_of(one);
      together.insert(together.end(), payload.begin(), payload.end());
    }
  }
  EXPECT_EQ(together, payload_of(sent));
  // The last place that a datagram has: its offset uses all of its bits.
  Bytes last = test::cut(datagram(1'500), 1'480, 77).front();
  constexpr std::size_t kLast = 65'535 - 20 - 1'480;
  wire::store16(&last[kL3 + wire::kIpv4Fragment], kLast / wire::kFragmentUnit);
  test::mend_ipv4(last);
  const std::vector<Bytes> got = pass(last);
  EXPECT_EQ(got.size(), 2U);
  expect_whole(got, last);
}

TEST_F(Fragmenter, CopiesTheOptionsThatAreToBeCopied) {
  resolve();
  const Bytes alert{148, 4, 0, 0};          // To be copied.
  const Bytes record{7, 7, 4, 0, 0, 0, 0};  // Not to be.
  const Bytes stream{136, 4, 1, 2};         // To be copied.
  Bytes options{1};                         // No operation: never copied.
  for (const Bytes& option : {record, alert, stream}) {
    options.insert(options.end(), option.begin(), option.end());
  }
  ASSERT_EQ(options.size() % 4, 0U);
  const Bytes sent = datagram(4'000, false, {.ipv4_options = options});
  const std::vector<Bytes> got = pass(sent);
  ASSERT_EQ(got.size(), 4U);
  expect_whole(got, sent);
  EXPECT_EQ(options_of(got[0]), options);
  for (std::size_t i = 1; i < got.size(); ++i) {
    EXPECT_EQ(options_of(got[i]), (Bytes{148, 4, 0, 0, 136, 4, 1, 2}));
  }
  // A later fragment keeps all that it has.
  const Bytes later = test::cut(sent, 1'480, 77).at(1);
  const std::vector<Bytes> again = pass(later);
  ASSERT_EQ(again.size(), 2U);
  expect_whole(again, later);
  EXPECT_EQ(options_of(again[1]), options);
}

TEST_F(Fragmenter, ManagesTheLongestHeaderAndTheMostFragments) {
  resolve();
  for (const std::uint8_t kind : {std::uint8_t{1}, std::uint8_t{136}}) {
    Bytes options(40, kind);
    for (std::size_t i = 0; kind == 136 && i < options.size(); i += 4) {
      options[i + 1] = 4;
    }
    const Bytes sent = datagram(kWideMtu, false, {.ipv4_options = options});
    const std::vector<Bytes> got = pass(sent);
    ASSERT_EQ(got.size(), 8U);
    expect_whole(got, sent);
    EXPECT_EQ(options_of(got[0]), options);
    EXPECT_EQ(options_of(got[7]), kind == 136 ? options : Bytes{});
  }
  // An option that claims more than there is: nothing beyond the header is read for one.
  const Bytes broken = datagram(2'000, false, {.ipv4_options = {148, 4, 0, 0, 136, 40, 1, 200}});
  const std::vector<Bytes> got = pass(broken);
  ASSERT_EQ(got.size(), 2U);
  expect_whole(got, broken);
  EXPECT_EQ(options_of(got[1]), (Bytes{148, 4, 0, 0}));
}

TEST_F(Fragmenter, TakesNoTrailerOfTheLinkForPayload) {
  resolve();
  for (const std::size_t size : {std::size_t{100}, std::size_t{kNarrowMtu}, std::size_t{2'600}}) {
    const Bytes sent = datagram(size);
    Bytes longer = sent;
    longer.resize(kL3 + size + kNarrowMtu, 0xee);
    const std::vector<Bytes> got = pass(longer);
    EXPECT_EQ(got.size(), (size - wire::kIpv4Bytes + kPieceBytes - 1) / kPieceBytes);
    expect_whole(got, sent);
  }
}

TEST_F(Fragmenter, CutsOnlyWhenTheNeighbourIsKnown) {
  const Bytes sent = datagram(4'000);
  const Bytes small = datagram(100);
  forward(sent);
  forward(small);
  EXPECT_EQ(taken(kNarrow).size(), 1U);  // The question for it.
  EXPECT_EQ(rte_mempool_in_use_count(pool_->get()), 2U);
  resolve();
  std::vector<Bytes> got = taken(kNarrow);
  ASSERT_EQ(got.size(), 5U);
  expect_whole({got[4]}, small);
  got.pop_back();
  expect_whole(got, sent);
}

TEST_F(Fragmenter, CountsAPacketOnceThatFindsNoBuffers) {
  resolve();
  const Bytes sent = datagram(3'000);  // Of three fragments.
  for (unsigned left = 1; left <= 4; ++left) {
    const std::vector<rte_mbuf*> buffers = take_buffers(left);  // One is for the packet itself.
    const std::vector<Bytes> got = pass(sent);
    EXPECT_EQ(got.size(), left == 4 ? 3U : 0U);
    EXPECT_EQ(rte_mempool_avail_count(pool_->get()), left);
    std::ranges::for_each(buffers, rte_pktmbuf_free);
    EXPECT_EQ(drops(DropReason::no_memory), std::min(left, 3U));
  }
  EXPECT_EQ(drops(), 3U);
}

TEST_F(Fragmenter, CountsAPacketOnceThatTheDeviceDoesNotTakeWhole) {
  resolve();
  fill_ring(4);
  forward(datagram(3'000));  // Three fragments that fit,
  forward(datagram(3'000));  // one that does and two that do not,
  forward(datagram(3'000));  // and three that do not.
  forward(datagram(100));
  const std::vector<Bytes> got = taken(kNarrow);
  EXPECT_EQ(got.size(), kRingRoom);
  EXPECT_EQ(drops(DropReason::tx_full), 3U);
  EXPECT_EQ(drops(), 3U);
}

TEST_F(Fragmenter, SendsAllFragmentsOfAPacketInOneBurst) {
  resolve();
  const Bytes sent = datagram(kWideMtu);
  for (std::size_t before = limits::kBurstMax - 9; before < limits::kBurstMax; ++before) {
    for (std::size_t i = 0; i < before; ++i) {
      forward(datagram(100));
    }
    std::vector<Bytes> got = pass(sent);
    ASSERT_EQ(got.size(), before + 8);
    got.erase(got.begin(), got.begin() + static_cast<std::ptrdiff_t>(before));
    expect_whole(got, sent);
  }
  EXPECT_EQ(drops(), 0U);
  // The burst that they wait for goes first, and is lost for itself.
  fill_ring(3);
  for (std::size_t i = 0; i < limits::kBurstMax - 1; ++i) {
    forward(datagram(100));
  }
  forward(sent);
  EXPECT_EQ(taken(kNarrow).size(), kRingRoom);
  EXPECT_EQ(drops(DropReason::tx_full), limits::kBurstMax - 1 - 3 + 1);
}

}  // namespace
}  // namespace portcullis::dataplane
