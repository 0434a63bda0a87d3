// SPDX-License-Identifier: MIT
// Follows datagrams in fragments: the first fragment is judged, and the later ones, which have no
// ports, share its fate. Those that come ahead of it wait. Knows no policy, touches no frame.
//
// Nothing is put together. DPDK's rte_ip_frag would, and what leaves would then be other packets
// than came: cut anew, of other sizes, with losses of its own. So ours keeps only what it needs.
//
// Owner: one worker, which alone calls it. Memory: all taken at construction.
// Time:  an argument, in nanoseconds, never decreasing.
//
//   (none) -- later fragment --> waiting -- first fragment judged --> decided -- complete -->
//   (none)
//      \------ first fragment ------^   \--- overlap, no room ---> broken <---/
//
// Invariants:
//   1. A datagram is in one chain of the hash and in one queue: `waiting_` until it is decided or
//      broken, then its family's. A queue is in order of its datagrams' deadlines.
//   2. Frames wait only for datagrams in `waiting_`. Each comes back exactly once in released().
//   3. At most held_max frames wait. Slots of released frames are not used again before the next
//      call, so that one is always free: there are kBurstMax more than may wait.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/limits.h"
#include "dataplane/outcome.h"
#include "dataplane/packet/fragment.h"
#include "dataplane/packet/parse.h"

namespace portcullis::dataplane {

/// A later fragment waits this long at most.
inline constexpr std::uint64_t kFragmentWaitNs = 1'000'000'000;
/// A datagram ends after this time, complete or not (RFC 791 and 1122; RFC 8200).
inline constexpr std::uint64_t kDatagramLifeNs4 = 30'000'000'000;
inline constexpr std::uint64_t kDatagramLifeNs6 = 60'000'000'000;

class Fragments {
 public:
  using Index = std::uint16_t;

  /// What the caller is to do about a fragment.
  enum class Next : std::uint8_t {
    nothing,  // `outcome` is settled: it waits, or its datagram is being dropped.
    judge,    // It is the first one: judge it, then decide().
    follow,   // Its datagram was allowed: settle it like first(), then follow().
  };
  struct Seen {
    Next next = Next::nothing;
    Index datagram = 0;  // Valid until the caller has done what is next.
    Outcome outcome;
  };

  /// `seed` keys the hash. REQUIRES: held_max <= limits::kFragmentsHeldMax.
  Fragments(std::uint64_t seed, std::size_t held_max);

  /// Begins a burst: slots of what was released before are free again.
  void begin() noexcept;
  /// Notes one more fragment. The same datagram on two ports is two: a packet may cross us twice.
  Seen see(const DatagramKey& key,
           PortIndex port,
           const Fragment& fragment,
           std::uint16_t l3_offset,
           std::uint64_t now_ns) noexcept;
  /// The first fragment came to `outcome`, and so do those that waited for it.
  void decide(Index datagram,
              const Packet& first,
              const Outcome& outcome,
              std::uint64_t now_ns) noexcept;
  /// A later fragment came to `outcome`; where that is a drop, all after it are dropped too.
  void follow(Index datagram, const Outcome& outcome) noexcept;
  [[nodiscard]] const Packet& first(Index datagram) const noexcept {
    return datagrams_[datagram].first;
  }

  /// Ends what timed out; a bounded number a call.
  void expire(std::uint64_t now_ns) noexcept;
  /// Ends all that waits.
  void release_all() noexcept;

  /// Frames that waited and go now, since begin(), in the order of their going.
  [[nodiscard]] std::span<const Released> released() const noexcept {
    return std::span(released_).first(released_count_);
  }
  /// Frames that wait, and datagrams that are followed, now.
  [[nodiscard]] std::size_t held() const noexcept { return held_; }
  [[nodiscard]] std::size_t datagrams() const noexcept {
    return waiting_.count + decided4_.count + decided6_.count;
  }

 private:
  static constexpr Index kNone = UINT16_MAX;
  static constexpr std::size_t kExpireMax = 64;
  static constexpr std::size_t kBuckets = 2 * limits::kDatagramsMax;

  enum class Stage : std::uint8_t {
    waiting,  // For the first fragment.
    decided,  // `fate` is its, and that of what follows.
    broken,   // Nothing more of it passes; what it holds is no longer noted.
  };
  /// Bytes [begin, end) that were seen.
  struct Stretch {
    std::uint16_t begin = 0;
    std::uint16_t end = 0;
  };
  struct Datagram {
    DatagramKey key;
    PortIndex port = 0;
    Stage stage = Stage::waiting;
    std::uint8_t stretches_count = 0;
    std::uint16_t end = 0;  // Of the last fragment; 0: not seen.
    Index chained = kNone;  // The next one in its bucket.
    Index before = kNone;   // In its queue.
    Index behind = kNone;
    HeldSlot held_first = kNone;
    HeldSlot held_last = kNone;
    std::uint64_t deadline_ns = 0;
    Outcome fate;                                                  // Unless waiting.
    Packet first;                                                  // If decided.
    std::array<Stretch, limits::kDatagramStretchesMax> stretches;  // In order, with gaps between.
  };
  struct Queue {
    Index front = kNone;
    Index back = kNone;
    std::size_t count = 0;
  };
  struct Held {
    HeldSlot next = kNone;
    std::uint16_t l3_offset = 0;
  };

  [[nodiscard]] std::size_t bucket_of(const DatagramKey& key, PortIndex port) const noexcept;
  [[nodiscard]] Index find(const DatagramKey& key, PortIndex port) const noexcept;
  Index open(const DatagramKey& key, PortIndex port, std::uint64_t now_ns) noexcept;
  static DropReason note(Datagram& datagram, const Fragment& fragment) noexcept;
  [[nodiscard]] static bool is_complete(const Datagram& datagram) noexcept;
  Seen hold(Index index, std::uint16_t l3_offset) noexcept;
  void break_off(Index index, DropReason reason, std::uint64_t now_ns) noexcept;
  void leave_waiting(Index index, Stage stage, std::uint64_t now_ns) noexcept;
  void release(Datagram& datagram, const Outcome& outcome) noexcept;
  void end(Index index, DropReason reason) noexcept;
  void make_room() noexcept;
  [[nodiscard]] Queue& queue_of(const Datagram& datagram) noexcept;
  void append(Queue& queue, Index index) noexcept;
  void unlink(Queue& queue, Index index) noexcept;

  std::array<std::uint64_t, 4> seeds_{};
  const std::size_t held_max_;

  std::vector<Datagram> datagrams_;
  std::vector<Index> free_;  // Stacks, whose capacity never changes.
  std::vector<HeldSlot> free_slots_;
  std::vector<Index> buckets_;
  Queue waiting_;
  Queue decided4_;
  Queue decided6_;
  std::vector<Held> slots_;
  std::vector<Released> released_;
  std::size_t released_count_ = 0;
  std::size_t held_ = 0;
};

}  // namespace portcullis::dataplane
