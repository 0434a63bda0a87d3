// SPDX-License-Identifier: MIT
// What an attacker sends, packet by packet: the same number gives the same packet.
// Thread: immutable after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bench/corpus.h"
#include "bench/throughput/traffic.h"
#include "classifier/key.h"
#include "classifier/table.h"

namespace portcullis::bench {

class Attack {
 public:
  enum class Kind : std::uint8_t {
    none,
    malformed,  // Headers that lie, in eight ways, of flows that are established: none may pass.
    fragments,  // Datagrams whose fragments overlap, and later fragments without a first one.
    scan,       // Connections that no policy allows, from pod to pod: none may pass.
  };

  /// `victims` is IPv4 traffic of TCP, and outlives the attack.
  Attack(const World& world, const classifier::Table& table, const Traffic& victims);

  /// Writes packet `number`, from Ethernet on, into room for 64 bytes or more. Returns its length.
  /// REQUIRES: kind is not none.
  std::size_t write(Kind kind, std::size_t number, std::span<std::uint8_t> out) const;

 private:
  std::size_t write_malformed(std::size_t number, std::span<std::uint8_t> out) const;
  std::size_t write_fragment(std::size_t number, std::span<std::uint8_t> out) const;

  const Traffic& victims_;
  std::vector<classifier::Key4> denied_;
};

}  // namespace portcullis::bench
