// SPDX-License-Identifier: MIT
#include "bench/swap/load.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "bench/throughput/cycles.h"

namespace portcullis::bench {
namespace {

/// At a time into one queue, so that neither runs dry meanwhile.
constexpr std::size_t kFillMax = 256;
/// So long may nothing come out of what is full.
constexpr double kPatienceSeconds = 3;

std::uint64_t patience() {
  return static_cast<std::uint64_t>(kPatienceSeconds * cycles_hz());
}

}  // namespace

Load::Load(Line& line, const SwapTraffic& traffic) : line_(line), traffic_(traffic) {
  ways_[1].side = 1;
}

Result<void> Load::open() {
  for (const PacketsOfSides& packets : traffic_.opening) {
    PORTCULLIS_TRY_VOID(send_all(packets));
  }
  last_look_ = cycles();
  const Judged judged = sum(account_);
  return judged.lost + judged.mixed == 0
             ? Result<void>{}
             : fail(fmt::format("{} packets were lost that begin flows", judged.lost));
}

Result<void> Load::run(double seconds) {
  const auto length = static_cast<std::uint64_t>(seconds * cycles_hz());
  const std::uint64_t begin = cycles();
  last_taken_ = begin;
  while (cycles() - begin < length) {
    PORTCULLIS_TRY_VOID(take_all());
    note_idleness();
    for (Way& way : ways_) {
      fill(way);
    }
    if (cycles() - last_taken_ > patience()) {
      return fail("nothing comes out any more");
    }
  }
  return {};
}

/// Behind all others goes a packet that every edition lets pass: what is ahead of it is settled
/// when it comes out. If it was lost itself, so was what has not come out for so long.
Result<void> Load::drain() {
  std::array<std::size_t, 2> marked{};
  last_taken_ = cycles();
  while (!is_settled() || marked[0] + marked[1] < marked.size()) {
    for (Way& way : ways_) {
      if (marked[way.side] == 0) {
        marked[way.side] = send(way, traffic_.markers[way.side], 0);
      }
    }
    PORTCULLIS_TRY_VOID(take_all());
    if (cycles() - last_taken_ > patience()) {
      break;
    }
  }
  if (line_.waiting(0) + line_.waiting(1) > 0 || marked[0] + marked[1] < marked.size()) {
    return fail("nobody takes what waits in a receive queue");
  }
  for (Way& way : ways_) {
    while (way.settled < way.sent) {
      settle(way, false);
    }
  }
  return {};
}

Result<void> Load::send_all(const PacketsOfSides& packets) {
  for (Way& way : ways_) {
    last_taken_ = cycles();
    for (std::size_t next = 0; next < packets[way.side].frames.size();) {
      next += send(way, packets[way.side], next);
      PORTCULLIS_TRY_VOID(take_all());
      if (cycles() - last_taken_ > patience()) {
        return fail("nothing comes out");
      }
    }
  }
  return drain();
}

/// A burst of what lies from there on, as far as there is room for it. Returns how many.
std::size_t Load::send(Way& way, const Packets& packets, std::size_t from) {
  const std::size_t count = std::min({burst_.size(),
                                      packets.frames.size() - from,
                                      Line::kQueueSlots - line_.waiting(way.side),
                                      kInside - (way.sent - way.settled)});
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t number = way.sent + i;
    burst_[i] = packets.frames[from + i];
    put_number(burst_[i], static_cast<std::uint32_t>(number));
    way.inside[number % kInside] = {
        &packets.frames[from + i], packets.kinds[from + i], generation_};
  }
  if (count == 0 || !line_.send(way.side, std::span(burst_).first(count))) {
    return 0;
  }
  way.sent += count;
  progress_.sent += count;
  return count;
}

/// Nobody else fills the queues, so one that is not empty now never was since it was filled last.
void Load::note_idleness() {
  const std::uint64_t now = cycles();
  const bool both_empty = line_.waiting(0) + line_.waiting(1) == 0;
  progress_.idle_cycles += both_empty ? now - last_look_ : 0;
  last_look_ = now;
}

void Load::fill(Way& way) {
  const Packets& load = traffic_.load[way.side];
  for (std::size_t filled = 0; filled < kFillMax;) {
    const std::size_t sent = send(way, load, way.next);
    if (sent == 0) {
      break;
    }
    filled += sent;
    way.next = way.next + sent == load.frames.size() ? 0 : way.next + sent;
  }
}

Result<void> Load::take_all() {
  for (Way& way : ways_) {
    PORTCULLIS_TRY_VOID(take(way));
  }
  return {};
}

Result<void> Load::take(Way& way) {
  std::size_t count = 0;
  do {
    count = line_.take(1 - way.side, burst_);
    for (const LineFrame& frame : std::span(burst_).first(count)) {
      const std::uint32_t number = number_of(frame);
      // Of numbers the last 32 bits are carried.
      const std::uint32_t ahead = number - static_cast<std::uint32_t>(way.settled);
      if (ahead >= way.sent - way.settled || !is_same(frame, *way.inside[number % kInside].frame)) {
        return fail("what comes out was not sent, or in another order");
      }
      for (std::uint32_t i = 0; i < ahead; ++i) {
        settle(way, false);
      }
      settle(way, true);
    }
    progress_.taken += count;
    last_taken_ = count > 0 ? cycles() : last_taken_;
  } while (count == burst_.size());
  return {};
}

/// The next one in order.
void Load::settle(Way& way, bool passed) {
  const Sent& sent = way.inside[way.settled % kInside];
  way.judge.add(sent.kind, passed, {.oldest = sent.generation, .newest = generation_}, account_);
  ++way.settled;
}

bool Load::is_settled() const {
  return std::ranges::all_of(ways_, [](const Way& way) { return way.settled == way.sent; });
}

}  // namespace portcullis::bench
