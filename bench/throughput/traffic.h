// SPDX-License-Identifier: MIT
// Traffic: flows that a policy world allows, and the frames of both of their directions. A frame is
// made when it is asked for, so that ten million flows take no memory. Equal worlds give equal
// frames.
// Thread: immutable after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bench/corpus.h"
#include "classifier/key.h"
#include "classifier/table.h"

namespace portcullis::bench {

/// Gives every pod an IPv6 address beside its IPv4 one, under the same policies.
void add_ipv6(World& world);

class Traffic {
 public:
  enum class Kind : std::uint8_t {
    udp4,   // UDP over IPv4 only: the shortest frames.
    tcp4,   // TCP over IPv4 only.
    mixed,  // As the policies have it, nine tenths TCP; one flow in four over IPv6.
  };
  /// Where in its flow a frame stands. Datagrams look alike in all steps of a direction.
  enum class Step : std::uint8_t {
    open,        // TCP SYN.
    accept,      // TCP SYN ACK, against the flow's direction.
    data,        // TCP ACK.
    data_reply,  // TCP ACK, against the flow's direction.
    reset,       // TCP RST, right after open.
  };
  static constexpr std::size_t kFrameBytesMax = 9018;

  /// REQUIRES: `table` is compiled from world.rules, and lets some flows pass.
  Traffic(const World& world, const classifier::Table& table, Kind kind);

  /// Writes a frame of flow `flow`, from Ethernet on, as long as `bytes` or as its headers.
  /// Different flows have different tuples, whatever their direction. Returns the length.
  /// REQUIRES: flow < flows_max(); the frame fits `out`, as any does into kFrameBytesMax.
  std::size_t write(std::size_t flow,
                    Step step,
                    std::size_t bytes,
                    std::span<std::uint8_t> out) const;

  /// The same of a flow of one's own, whether it is allowed or not.
  static std::size_t write_key(const classifier::Key4& key,
                               Step step,
                               std::size_t bytes,
                               std::span<std::uint8_t> out);

  [[nodiscard]] std::size_t flows_max() const;

 private:
  /// A flow but for its source port. Of the two families one has the addresses.
  struct Path {
    Family family = Family::v4;
    classifier::Key4 key4;
    classifier::Key6 key6;
  };
  std::vector<Path> paths_;
};

/// The length of a frame in the Internet mix: 64, 594 and 1518 bytes as 7 : 4 : 1.
std::size_t imix_bytes(std::size_t flow);

}  // namespace portcullis::bench
