// SPDX-License-Identifier: MIT
#include "dataplane/replay.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "dataplane/packet/fragment.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/tunnel.h"
#include "dataplane/pcap.h"

namespace portcullis::dataplane {
namespace {

using Action = Outcome::Action;
using Kind = Packet::Kind;

/// A burst has one time. Frames further apart than this are in different bursts, so that timeouts
/// are as exact as they are on the wire.
constexpr std::uint64_t kBurstNsMax = 1'000'000;

bool has_direction(const ReplayRecord& record) {
  return record.reason != DropReason::not_a_new_flow;
}

/// The tuple of the flow, in the direction in which it began.
FlowTuple original(const Packet& packet, const Outcome& outcome) {
  const bool against = packet.kind == Kind::related
                           ? outcome.action == Action::forward && !outcome.is_reply
                           : outcome.is_reply;
  return against && !is_icmp(packet.tuple.protocol) ? reversed(packet.tuple) : packet.tuple;
}

/// Counts packets by flow and fate.
class Ledger {
 public:
  explicit Ledger(const config::Tunnels& tunnels) : tunnels_(tunnels) {}

  void note(const CapturedFrame& frame, const Outcome& outcome) {
    const Packet packet = whole(frame.bytes, frame.wire_length);
    ReplayRecord record{.action = outcome.action, .reason = outcome.reason};
    if (packet.kind == Kind::drop || packet.kind == Kind::link || packet.kind == Kind::fragment) {
      ++records_[index_of(record)].packets;
      return;
    }
    const FlowTuple tuple = original(packet, outcome);
    if (const auto denied = denial_of(tuple, outcome)) {
      ++records_[*denied].packets;
      return;
    }
    record.has_addresses = true;
    record.src = {tuple.family, tuple.src};
    record.dst = {tuple.family, tuple.dst};
    record.protocol = tuple.protocol;
    record.dst_port = is_icmp(tuple.protocol) || !has_direction(record) ? 0 : tuple.dst_port;
    record.verdict = outcome.verdict;
    const std::size_t index = index_of(record);
    ++records_[index].packets;
    if (flows_.insert({index, tuple}).second) {
      ++records_[index].flows;
    }
    if (outcome.reason == DropReason::policy_denied) {
      denied_.emplace(FlowOfRecord{0, tuple}, index);
    }
  }

  std::vector<ReplayRecord> take() { return std::move(records_); }

 private:
  using Key = std::tuple<bool,
                         IpAddress,
                         IpAddress,
                         std::uint8_t,
                         std::uint16_t,
                         Action,
                         DropReason,
                         std::uint32_t,
                         std::uint32_t>;
  struct FlowOfRecord {
    std::size_t record;
    FlowTuple tuple;
    friend bool operator==(const FlowOfRecord&, const FlowOfRecord&) = default;
  };
  struct FlowHash {
    std::size_t operator()(const FlowOfRecord& flow) const {
      const auto& tuple = flow.tuple;
      const std::size_t ports = (std::size_t{tuple.src_port} << 16U) | tuple.dst_port;
      return std::hash<IpAddress>{}({tuple.family, tuple.src}) * 3 +
             std::hash<IpAddress>{}({tuple.family, tuple.dst}) +
             flow.record * 0x9e37'79b9'7f4a'7c15U + ports * 0xbf58'476d'1ce4'e5b9U;
    }
  };

  /// A later fragment counts as what the first one of its datagram is, if that was there.
  Packet whole(std::span<const std::uint8_t> frame, std::uint32_t wire_length) {
    Packet packet = parse(frame, wire_length);
    if (tunnels_.any()) {
      tunnels_.look_inside(frame, packet);
    }
    if (!packet.fragmented || packet.kind == Kind::drop) {
      return packet;
    }
    const DatagramKey key = datagram_of(frame, packet, fragment_of(frame, packet));
    if (packet.kind != Kind::fragment) {
      firsts_.insert_or_assign(key, packet);
      return packet;
    }
    const auto first = firsts_.find(key);
    return first != firsts_.end() ? first->second : packet;
  }

  std::size_t index_of(const ReplayRecord& record) {
    const auto [at, is_new] = index_.try_emplace(key_of(record), records_.size());
    if (is_new) {
      records_.push_back(record);
    }
    return at->second;
  }

  /// The record of the denial that left this packet without a flow. A capture holds the whole
  /// conversation, of which on the wire nothing would have followed the first packet.
  [[nodiscard]] std::optional<std::size_t> denial_of(const FlowTuple& tuple,
                                                     const Outcome& outcome) const {
    if (outcome.reason != DropReason::not_a_new_flow) {
      return std::nullopt;
    }
    auto denied = denied_.find({0, tuple});
    if (denied == denied_.end() && !is_icmp(tuple.protocol)) {
      denied = denied_.find({0, reversed(tuple)});
    }
    return denied != denied_.end() ? std::optional(denied->second) : std::nullopt;
  }

  static Key key_of(const ReplayRecord& record) {
    return {record.has_addresses,
            record.src,
            record.dst,
            record.protocol,
            record.dst_port,
            record.action,
            record.reason,
            record.verdict.egress.bits,
            record.verdict.ingress.bits};
  }

  std::map<DatagramKey, Packet> firsts_;
  std::map<Key, std::size_t> index_;
  const Tunnels tunnels_;
  std::vector<ReplayRecord> records_;
  std::unordered_set<FlowOfRecord, FlowHash> flows_;
  std::unordered_map<FlowOfRecord, std::size_t, FlowHash> denied_;  // By tuple; its record is 0.
};

/// One burst of frames, whose bytes are copied because the reader reuses its own.
class Burst {
 public:
  [[nodiscard]] bool takes(std::uint64_t time_ns) const {
    return captured_.empty() || (captured_.size() < limits::kBurstMax &&
                                 time_ns < captured_.front().time_ns + kBurstNsMax);
  }
  void add(const CapturedFrame& frame) {
    std::vector<std::uint8_t>& bytes = bytes_[captured_.size()];
    bytes.assign(frame.bytes.begin(), frame.bytes.end());
    captured_.push_back({frame.time_ns, frame.wire_length, bytes});
    frames_[captured_.size() - 1] = {.data = bytes.data(),
                                     .length = static_cast<std::uint32_t>(bytes.size()),
                                     .port = 0,
                                     .wire_length = frame.wire_length};
  }
  void clear() { captured_.clear(); }

  [[nodiscard]] const std::vector<CapturedFrame>& captured() const { return captured_; }
  [[nodiscard]] std::span<const Frame> frames() const {
    return std::span(frames_).first(captured_.size());
  }

 private:
  std::array<std::vector<std::uint8_t>, limits::kBurstMax> bytes_;
  std::array<Frame, limits::kBurstMax> frames_;
  std::vector<CapturedFrame> captured_;
};

class Replayer {
 public:
  Replayer(const Generation& generation,
           const ReplayOptions& options,
           PcapWriter out,
           std::optional<PcapWriter> dropped)
      : generation_(generation),
        pipeline_({.conntrack = options.conntrack,
                   .tunnels = options.tunnels,
                   .non_ip = options.non_ip,
                   .ports = 1}),
        hits_(generation.rule_ids),
        out_(std::move(out)),
        dropped_(std::move(dropped)),
        ledger_(options.tunnels) {}

  Result<void> read_all(PcapReader& reader) {
    CapturedFrame frame;
    while (true) {
      const Result<bool> more = reader.next(frame);
      if (!more || !*more || !burst_.takes(frame.time_ns)) {
        flush();
      }
      if (!more || !*more) {
        pipeline_.release_all();
        let_go();
      }
      if (!more) {
        return Failure(more.error());
      }
      if (!*more) {
        return {};
      }
      burst_.add(frame);
    }
  }

  Result<ReplayResult> finish() {
    PORTCULLIS_TRY_VOID(out_.finish());
    if (dropped_) {
      PORTCULLIS_TRY_VOID(dropped_->finish());
    }
    result_.records = ledger_.take();
    return std::move(result_);
  }

 private:
  void flush() {
    const std::vector<CapturedFrame>& captured = burst_.captured();
    if (captured.empty()) {
      return;
    }
    // Captures are not always in order; time in the pipeline never goes back.
    now_ns_ = std::max(now_ns_, captured.front().time_ns);
    pipeline_.expire(now_ns_);
    let_go();
    pipeline_.process(
        generation_, now_ns_, burst_.frames(), outcomes_, {.hits = hits_, .resets = {}});
    for (std::size_t i = 0; i < captured.size(); ++i) {
      settle(captured[i], outcomes_[i]);
    }
    let_go();
    burst_.clear();
  }

  /// Settles the fragments that need not wait any more.
  void let_go() {
    for (const Released& one : pipeline_.released()) {
      const Kept& kept = kept_[one.slot];
      settle({kept.time_ns, kept.wire_length, kept.bytes}, one.outcome);
    }
  }

  void settle(const CapturedFrame& frame, const Outcome& outcome) {
    if (outcome.action == Action::hold) {
      kept_[outcome.held_slot] = {
          frame.time_ns, frame.wire_length, {frame.bytes.begin(), frame.bytes.end()}};
      return;
    }
    ledger_.note(frame, outcome);
    ++result_.packets;
    if (outcome.action == Action::drop) {
      ++result_.dropped;
      ++result_.drops[static_cast<std::size_t>(outcome.reason)];
      if (dropped_) {
        dropped_->write(frame);
      }
      return;
    }
    ++(outcome.action == Action::link ? result_.link : result_.forwarded);
    out_.write(frame);
  }

  /// A fragment that waits for the first one of its datagram.
  struct Kept {
    std::uint64_t time_ns = 0;
    std::uint32_t wire_length = 0;
    std::vector<std::uint8_t> bytes;
  };

  const Generation& generation_;
  Pipeline pipeline_;
  std::vector<std::uint64_t> hits_;
  std::array<Kept, kHeldSlots> kept_;
  PcapWriter out_;
  std::optional<PcapWriter> dropped_;
  Burst burst_;
  std::array<Outcome, limits::kBurstMax> outcomes_;
  std::uint64_t now_ns_ = 0;
  Ledger ledger_;
  ReplayResult result_;
};

/// Opening an output truncates it, which must not befall the input or the other output.
Result<void> check_distinct(const ReplayOptions& options) {
  const auto same = [](const std::string& a, const std::string& b) {
    std::error_code ignored;
    return !a.empty() && (a == b || std::filesystem::equivalent(a, b, ignored));
  };
  if (same(options.out, options.in) || same(options.dropped, options.in)) {
    return fail(
        fmt::format("{} would be overwritten while it is read; name another output", options.in));
  }
  if (same(options.dropped, options.out)) {
    return fail(fmt::format("{} cannot take both forwarded and dropped frames; name two files",
                            options.out));
  }
  return {};
}

}  // namespace

Result<ReplayResult> replay(const Generation& generation, const ReplayOptions& options) {
  PORTCULLIS_TRY_VOID(check_distinct(options));
  PORTCULLIS_TRY(PcapReader reader, PcapReader::open(options.in));
  const bool nanoseconds = reader.has_nanoseconds();
  PORTCULLIS_TRY(PcapWriter out, PcapWriter::create(options.out, nanoseconds));
  std::optional<PcapWriter> dropped;
  if (!options.dropped.empty()) {
    PORTCULLIS_TRY(dropped, PcapWriter::create(options.dropped, nanoseconds));
  }
  Replayer replayer(generation, options, std::move(out), std::move(dropped));
  PORTCULLIS_TRY_VOID(replayer.read_all(reader));
  return replayer.finish();
}

}  // namespace portcullis::dataplane
