// SPDX-License-Identifier: MIT
#include "dataplane/replay.h"

#include <filesystem>
#include <fstream>
#include <optional>

#include <unistd.h>

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/key.h"
#include "dataplane/pcap.h"
#include "tests/support/packet.h"
#include "tests/support/tunnel.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;
using test::Ends;
using Action = Outcome::Action;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr Ends kWeb{"10.0.0.1", "10.0.0.2", 40000, 80};
constexpr Ends kSsh{"10.0.0.1", "10.0.0.2", 40000, 22};
constexpr Ends kWeb6{"2001:db8::1", "2001:db8::2", 40000, 80};

/// The server 10.0.0.2 / 2001:db8::2 takes TCP 80 from anyone; nobody reaches the client.
Generation generation() {
  using namespace classifier;
  const auto ip = [](std::string_view text) { return parse_ip(text).value(); };
  RuleSet rules{.default_mode = DefaultMode::kubernetes};
  rules.endpoints = {{.addresses = {ip("10.0.0.1"), ip("2001:db8::1")}},
                     {.addresses = {ip("10.0.0.2"), ip("2001:db8::2")}}};
  rules.sets = {{.endpoints = {0}}, {.endpoints = {1}}, {.everything = true}};
  rules.port_sets = {{.ranges = {PortRange{kProtocolTcp, 80, 80}}}, {.everything = true}};
  using classifier::Action;
  rules.rules = {{.action = Action::allow, .subjects = 1, .peers = 2, .ports = 0},
                 {.action = Action::deny, .subjects = 1, .peers = 2, .ports = 1},
                 {.action = Action::deny, .subjects = 0, .peers = 2, .ports = 1}};
  return {.epoch = 1, .table = compile(rules).value(), .rule_ids = kBuiltinRules + 3};
}

struct Timed {
  std::uint64_t time_ns = 0;
  Bytes bytes;
  std::uint32_t wire_length = 0;  // 0: as many as bytes.
};

class Replay : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("portcullis_replay_" + std::to_string(getpid()));
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) { return folder_ / name; }

  void capture(const std::vector<Timed>& frames, bool nanoseconds = false) {
    auto writer = PcapWriter::create(path("in.pcap"), nanoseconds).value();
    for (const Timed& frame : frames) {
      const auto length = static_cast<std::uint32_t>(frame.bytes.size());
      writer.write(
          {frame.time_ns, frame.wire_length == 0 ? length : frame.wire_length, frame.bytes});
    }
    ASSERT_TRUE(writer.finish());
  }
  std::vector<Timed> read(const std::string& name) {
    auto reader = PcapReader::open(path(name)).value();
    std::vector<Timed> frames;
    CapturedFrame frame;
    while (reader.next(frame).value()) {
      frames.push_back(
          {frame.time_ns, Bytes(frame.bytes.begin(), frame.bytes.end()), frame.wire_length});
    }
    return frames;
  }
  Result<ReplayResult> run(const std::string& out = "out.pcap",
                           const std::string& dropped = "dropped.pcap") {
    return replay(generation_, {.in = path("in.pcap"), .out = path(out), .dropped = path(dropped)});
  }

  std::filesystem::path folder_;
  Generation generation_ = generation();
};

TEST_F(Replay, SplitsACaptureByVerdictWithTimesAndBytesKept) {
  const std::vector<Timed> passes{
      {1 * kSecond + 1000, test::tcp_frame(kWeb, test::kSyn)},
      {1 * kSecond + 2000, test::tcp_frame(turned(kWeb), test::kSyn | test::kAck)},
      {2 * kSecond, test::arp_frame(1, "10.0.0.1", "10.0.0.2")},
      {3 * kSecond, test::tcp_frame(kWeb6, test::kSyn)}};
  const std::vector<Timed> drops{{2 * kSecond + 500'000, test::tcp_frame(kSsh, test::kSyn)},
                                 {4 * kSecond, test::tcp_frame(turned(kWeb), test::kSyn)},
                                 {5 * kSecond, Bytes(20, 0)}};
  capture({passes[0], passes[1], passes[2], drops[0], passes[3], drops[1], drops[2]});
  const auto result = run();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->packets, 7U);
  EXPECT_EQ(result->forwarded, 3U);
  EXPECT_EQ(result->link, 1U);
  EXPECT_EQ(result->dropped, 3U);
  EXPECT_EQ(result->drops[static_cast<std::size_t>(DropReason::policy_denied)], 2U);
  EXPECT_EQ(result->drops[static_cast<std::size_t>(DropReason::unsupported_l3)], 1U);
  const auto expect_same = [](const std::vector<Timed>& got, const std::vector<Timed>& want) {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].time_ns, want[i].time_ns);
      EXPECT_EQ(got[i].bytes, want[i].bytes);
    }
  };
  expect_same(read("out.pcap"), passes);
  expect_same(read("dropped.pcap"), drops);
}

TEST_F(Replay, JudgesAndCountsThePodsInsideOfTunnels) {
  constexpr Ends kNodes{"192.0.2.1", "192.0.2.2"};
  const Bytes denied = test::vxlan_frame(kNodes, test::tcp_frame(kSsh, test::kSyn));
  capture(
      {{kSecond, test::vxlan_frame(kNodes, test::tcp_frame(kWeb, test::kSyn))},
       {kSecond + 1000,
        test::vxlan_frame(turned(kNodes), test::tcp_frame(turned(kWeb), test::kSyn | test::kAck))},
       {2 * kSecond, denied}});
  const auto result = replay(generation_,
                             {.in = path("in.pcap"),
                              .out = path("out.pcap"),
                              .dropped = path("dropped.pcap"),
                              .tunnels = {.kinds = {config::TunnelKind::vxlan},
                                          .endpoints = {parse_prefix("192.0.2.0/24").value()}}});
  ASSERT_TRUE(result) << result.error().message;
  ASSERT_EQ(result->records.size(), 2U);
  EXPECT_EQ(result->records[0].src, parse_ip("10.0.0.1").value());
  EXPECT_EQ(result->records[0].dst_port, 80);
  EXPECT_EQ(result->records[0].packets, 2U);
  EXPECT_EQ(result->records[1].dst_port, 22);
  EXPECT_EQ(result->records[1].reason, DropReason::policy_denied);
  ASSERT_EQ(read("dropped.pcap").size(), 1U);
  EXPECT_EQ(read("dropped.pcap")[0].bytes, denied);
}

TEST_F(Replay, CountsRepliesAndErrorsForTheFlowTheyBelongTo) {
  const Bytes syn = test::tcp_frame(kWeb, test::kSyn);
  Ends second = kWeb;
  second.src_port = 40001;
  capture({{kSecond, syn},
           {kSecond + 1000, test::tcp_frame(turned(kWeb), test::kSyn | test::kAck)},
           {kSecond + 2000, test::unreachable_frame(turned(kWeb), syn)},
           {kSecond + 3000, test::tcp_frame(second, test::kSyn)},
           {2 * kSecond, test::tcp_frame(kSsh, test::kSyn)},
           {3 * kSecond, test::tcp_frame(kSsh, test::kSyn)}});
  const auto result = run();
  ASSERT_TRUE(result);
  ASSERT_EQ(result->records.size(), 2U);
  const ReplayRecord& web = result->records[0];
  EXPECT_EQ(to_string(web.src), "10.0.0.1");
  EXPECT_EQ(to_string(web.dst), "10.0.0.2");
  EXPECT_EQ(web.dst_port, 80);
  EXPECT_EQ(web.action, Action::forward);
  EXPECT_EQ(web.packets, 4U);
  EXPECT_EQ(web.flows, 2U);
  EXPECT_EQ(web.verdict.ingress.rule(), classifier::rule_id(std::size_t{0}));
  const ReplayRecord& ssh = result->records[1];
  EXPECT_EQ(ssh.action, Action::drop);
  EXPECT_EQ(ssh.reason, DropReason::policy_denied);
  EXPECT_EQ(ssh.packets, 2U);
  EXPECT_EQ(ssh.flows, 1U);
  EXPECT_EQ(ssh.verdict.ingress.rule(), classifier::rule_id(std::size_t{1}));
}

TEST_F(Replay, CountsWhatFollowsADenialForTheDeniedFlow) {
  capture({{kSecond, test::tcp_frame(kSsh, test::kSyn)},
           {kSecond + 1000, test::tcp_frame(turned(kSsh), test::kSyn | test::kAck)},
           {kSecond + 2000, test::tcp_frame(kSsh, test::kAck)},
           {kSecond + 3000, test::tcp_frame(turned(kWeb), test::kAck)}});
  const auto result = run();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->drops[static_cast<std::size_t>(DropReason::policy_denied)], 1U);
  EXPECT_EQ(result->drops[static_cast<std::size_t>(DropReason::not_a_new_flow)], 3U);
  ASSERT_EQ(result->records.size(), 2U);
  EXPECT_EQ(result->records[0].reason, DropReason::policy_denied);
  EXPECT_EQ(result->records[0].packets, 3U);
  EXPECT_EQ(result->records[0].flows, 1U);
  EXPECT_EQ(result->records[1].reason, DropReason::not_a_new_flow);
  EXPECT_EQ(result->records[1].dst_port, 0);
}

TEST_F(Replay, CountsFragmentsForTheFlowTheyBelongTo) {
  const auto fragments = [](const Ends& ends, std::uint32_t id) {
    Bytes syn = test::tcp_frame(ends, test::kSyn);
    const Bytes segment(syn.end() - 20, syn.end());
    Bytes payload = segment;
    payload.resize(120, 1);
    return test::cut(test::ip_frame(ends, classifier::kProtocolTcp, payload), 40, id);
  };
  const auto web = fragments(kWeb, 1);
  const auto ssh = fragments(kSsh, 2);
  capture({{kSecond, web[2]},
           {kSecond + 5'000'000, web[0]},
           {kSecond + 6'000'000, web[1]},
           {kSecond + 7'000'000, ssh[1]},
           {kSecond + 8'000'000, ssh[0]},
           {2 * kSecond, fragments(kWeb6, 3)[1]}});
  const auto result = run();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->packets, 6U);
  EXPECT_EQ(result->forwarded, 3U);
  EXPECT_EQ(result->drops[static_cast<std::size_t>(DropReason::policy_denied)], 2U);
  EXPECT_EQ(result->drops[static_cast<std::size_t>(DropReason::first_fragment_missing)], 1U);
  const std::vector<Timed> out = read("out.pcap");
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(out[0].bytes, web[0]) << "the first one leaves first";
  EXPECT_EQ(out[1].bytes, web[2]);
  EXPECT_EQ(out[1].time_ns, kSecond) << "with its own time";
  ASSERT_EQ(result->records.size(), 3U);
  EXPECT_EQ(result->records[0].dst_port, 80);
  EXPECT_EQ(result->records[0].packets, 3U);
  EXPECT_EQ(result->records[0].flows, 1U);
  EXPECT_EQ(result->records[1].dst_port, 22);
  EXPECT_EQ(result->records[1].packets, 2U);
  EXPECT_FALSE(result->records[2].has_addresses);
}

TEST_F(Replay, TakesTheTimesOfTheCaptureForItsClock) {
  const Bytes ack = test::tcp_frame(turned(kWeb), test::kSyn | test::kAck);
  capture({{kSecond, test::tcp_frame(kWeb, test::kSyn)},
           {kSecond + 29 * kSecond, ack},
           {kSecond + 60 * kSecond, ack}});
  const auto result = run();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->forwarded, 2U);
  EXPECT_EQ(result->drops[static_cast<std::size_t>(DropReason::not_a_new_flow)], 1U);
}

TEST_F(Replay, BearsTimesThatRunBackwards) {
  capture({{5 * kSecond, test::tcp_frame(kWeb, test::kSyn)},
           {4 * kSecond, test::tcp_frame(turned(kWeb), test::kSyn | test::kAck)},
           {0, test::tcp_frame(kWeb, test::kAck)}});
  const auto result = run();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->forwarded, 3U);
  EXPECT_EQ(read("out.pcap")[2].time_ns, 0U);
}

TEST_F(Replay, KeepsNanosecondsAndSnappedFrames) {
  const Bytes whole = test::udp_frame(kWeb, Bytes(900, 1));
  const Bytes syn = test::tcp_frame(kWeb, test::kSyn);
  capture({{kSecond + 123'456'789, syn},
           {kSecond + 123'456'790,
            Bytes(whole.begin(), whole.begin() + 64),
            static_cast<std::uint32_t>(whole.size())}},
          true);
  const auto result = run();
  ASSERT_TRUE(result);
  EXPECT_EQ(read("out.pcap").at(0).time_ns, kSecond + 123'456'789);
  const Timed snapped = read("dropped.pcap").at(0);
  EXPECT_EQ(result->drops[static_cast<std::size_t>(DropReason::policy_denied)], 1U);
  EXPECT_EQ(snapped.bytes.size(), 64U);
  EXPECT_EQ(snapped.wire_length, whole.size());
}

TEST_F(Replay, ReadsAnEmptyCapture) {
  capture({});
  const auto result = run();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->packets, 0U);
  EXPECT_TRUE(read("out.pcap").empty());
}

TEST_F(Replay, ManagesMoreFramesThanABurst) {
  std::vector<Timed> frames;
  for (std::uint16_t i = 0; i < 1000; ++i) {
    Ends ends = kWeb;
    ends.src_port = i;
    frames.push_back({kSecond + i, test::tcp_frame(ends, test::kSyn)});
    frames.push_back({kSecond + i, test::tcp_frame(turned(ends), test::kSyn | test::kAck)});
  }
  capture(frames);
  const auto result = run();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->forwarded, 2000U);
  ASSERT_EQ(result->records.size(), 1U);
  EXPECT_EQ(result->records[0].flows, 1000U);
}

TEST_F(Replay, SaysWhatIsWrongWithItsFiles) {
  const auto missing = run();
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("in.pcap"), std::string::npos);

  std::ofstream(path("in.pcap")) << "this is no capture at all, just words";
  EXPECT_FALSE(run());

  // Linux "any" captures have another link type.
  std::string header("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\0\0\0\0\0\0\0\0\xff\xff\0\0\x71\0\0\0", 24);
  std::ofstream(path("in.pcap"), std::ios::binary) << header;
  const auto cooked = run();
  ASSERT_FALSE(cooked);
  EXPECT_NE(cooked.error().message.find("not Ethernet"), std::string::npos);

  capture({{kSecond, test::tcp_frame(kWeb, test::kSyn)}});
  EXPECT_FALSE(run("in.pcap"));  // Would overwrite what it reads.
  EXPECT_FALSE(run("out.pcap", "out.pcap"));
  EXPECT_FALSE(run("no/such/folder.pcap"));
  EXPECT_EQ(read("in.pcap").size(), 1U);
}

TEST_F(Replay, WritesWhatCameBeforeDamage) {
  capture({{kSecond, test::tcp_frame(kWeb, test::kSyn)},
           {2 * kSecond, test::tcp_frame(kWeb, test::kSyn)}});
  std::filesystem::resize_file(path("in.pcap"), std::filesystem::file_size(path("in.pcap")) - 10);
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("damaged after frame 1"), std::string::npos)
      << result.error().message;
  EXPECT_EQ(read("out.pcap").size(), 1U);
}

TEST_F(Replay, TellsWhenTheDiskIsFull) {
  capture({{kSecond, test::tcp_frame(kWeb, test::kSyn)}});
  const auto full = replay(generation_, {.in = path("in.pcap"), .out = "/dev/full"});
  ASSERT_FALSE(full);
  EXPECT_NE(full.error().message.find("/dev/full"), std::string::npos);
}

/// A pcapng file by hand: section header, one Ethernet interface, one packet.
TEST_F(Replay, ReadsPcapng) {
  const Bytes frame = test::tcp_frame(kWeb, test::kSyn);
  std::string file;
  const auto put32 = [&file](std::uint32_t value) {
    file.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  const auto put_block =
      [&](std::uint32_t type, const std::vector<std::uint32_t>& words, const Bytes& rest) {
        const auto padded = static_cast<std::uint32_t>((rest.size() + 3) / 4 * 4);
        const auto length = static_cast<std::uint32_t>(12 + words.size() * 4) + padded;
        put32(type);
        put32(length);
        for (const std::uint32_t word : words) {
          put32(word);
        }
        file.append(reinterpret_cast<const char*>(rest.data()), rest.size());
        file.append(padded - rest.size(), '\0');
        put32(length);
      };
  const auto length = static_cast<std::uint32_t>(frame.size());
  put_block(0x0a0d0d0a, {0x1a2b3c4d, 1, 0xffffffff, 0xffffffff}, {});
  put_block(1, {1, 0}, {});
  put_block(6, {0, 0, 1'000'000, length, length}, frame);
  std::ofstream(path("in.pcap"), std::ios::binary) << file;
  const auto result = run();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->forwarded, 1U);
  EXPECT_EQ(read("out.pcap").at(0).time_ns, kSecond);
  EXPECT_EQ(read("out.pcap").at(0).bytes, frame);
}

}  // namespace
}  // namespace portcullis::dataplane
