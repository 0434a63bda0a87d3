// SPDX-License-Identifier: MIT
// NeighbourTable: the next hops of a router, their MACs, and the packets that wait for one. Knows
// when to ask and when to give up; asking is the caller's business. Touches no packet.
// Thread: one worker. Memory: all taken at construction.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "base/limits.h"
#include "dataplane/dpdk/forward.h"
#include "dataplane/packet/neighbour.h"

namespace portcullis::dataplane {

using NeighbourIndex = std::uint16_t;
inline constexpr NeighbourIndex kNoNeighbour = UINT16_MAX;

/// A neighbour is asked this often, at this distance, before its packets are given up.
inline constexpr unsigned kSolicitationsMax = 3;
inline constexpr std::uint64_t kSolicitationIntervalNs = 500'000'000;
/// A pod or gateway that does not answer is asked on at this distance, so that its first packet
/// finds it known once it is there.
inline constexpr std::uint64_t kAbsentIntervalNs = 1'000'000'000;
/// So long an address whose port was removed has no route: who still sends there hears of it, and
/// what is meant for a pod does not leave by the gateway. Then it may be somewhere else.
inline constexpr std::uint64_t kWithdrawnNs = 60'000'000'000;
/// A known MAC is confirmed after this long, and used meanwhile.
inline constexpr std::uint64_t kConfirmIntervalNs = 30'000'000'000;

class NeighbourTable {
 public:
  struct Neighbour {
    /// absent: not known, and nobody is asking. confirming: known and in use, being asked again.
    /// withdrawn: it was there, and its port is gone.
    enum class State : std::uint8_t { unused, absent, asking, known, confirming, withdrawn };
    State state = State::unused;
    bool permanent = false;
    std::uint8_t asked = 0;  // Times, in this round.
    std::uint8_t held = 0;
    PortIndex port = 0;
    MacAddress mac{};
    IpAddress address;
    NeighbourIndex next = kNoNeighbour;  // In its bucket.
    std::uint16_t held_first = 0;        // In the ring of held packets, if held > 0.
    std::uint16_t held_last = 0;
    std::uint64_t due_ns = 0;   // When advance() has something to do.
    std::uint64_t used_ns = 0;  // When a packet last wanted it.

    [[nodiscard]] bool resolved() const {
      return state == State::known || state == State::confirming;
    }
  };
  /// What the caller is to do for a neighbour now.
  enum class Due : std::uint8_t {
    nothing,
    solicit,  // Ask for its MAC.
    give_up,  // End the packets held for it: take_held() until there is none.
  };

  /// Room for `permanent_max` neighbours that stay, and limits::kNeighboursMax that come and go.
  explicit NeighbourTable(std::size_t permanent_max);

  /// A pod or a gateway. Asked for from the start. REQUIRES: not added before; room.
  void add_permanent(const IpAddress& address, PortIndex port);
  /// It is gone. For kWithdrawnNs nobody is asked for it and nobody is believed to be it; then it
  /// is as unknown as any other, behind `port`. REQUIRES: nothing is held for it; and so of the
  /// next.
  void withdraw(NeighbourIndex index, PortIndex port, std::uint64_t now_ns) noexcept;
  /// As if it had never been there.
  void forget(NeighbourIndex index) noexcept;
  /// kNoNeighbour where nobody has the address.
  [[nodiscard]] NeighbourIndex find(const IpAddress& address) const noexcept;
  /// Makes room by forgetting the neighbour that was wanted the longest ago, resolved ones last.
  /// kNoNeighbour when all of them have packets waiting.
  NeighbourIndex add(const IpAddress& address, PortIndex port, std::uint64_t now_ns) noexcept;

  [[nodiscard]] const Neighbour& at(NeighbourIndex index) const noexcept {
    return neighbours_[index];
  }
  /// Indexes below this may be in use.
  [[nodiscard]] NeighbourIndex size() const noexcept { return size_; }

  void use(NeighbourIndex index, std::uint64_t now_ns) noexcept {
    neighbours_[index].used_ns = now_ns;
  }
  /// `mac` answers for it. Held packets can go now.
  void learn(NeighbourIndex index, const MacAddress& mac, std::uint64_t now_ns) noexcept;

  /// Keeps a packet until its next hop is known, in order. False where there is no room.
  /// A neighbour that nobody asks for yet becomes due at once.
  bool hold(NeighbourIndex index, const Parcel& parcel, std::uint64_t now_ns) noexcept;
  /// The packet that waits the longest.
  std::optional<Parcel> take_held(NeighbourIndex index) noexcept;

  /// Lets time pass for one neighbour.
  Due advance(NeighbourIndex index, std::uint64_t now_ns) noexcept;

 private:
  struct Held {
    Parcel parcel;
    std::uint16_t next = 0;
  };
  NeighbourIndex take_slot() noexcept;
  [[nodiscard]] std::size_t bucket(const IpAddress& address) const noexcept;
  Due ask(Neighbour& neighbour, std::uint64_t now_ns, std::uint64_t interval_ns) noexcept;

  std::vector<Neighbour> neighbours_;
  std::vector<NeighbourIndex> buckets_;
  NeighbourIndex size_ = 0;
  std::vector<Held> held_;
  std::vector<std::uint16_t> free_held_;
};

}  // namespace portcullis::dataplane
