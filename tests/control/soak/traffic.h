// SPDX-License-Identifier: MIT
// Traffic: packets over a wire, round by round, each of which is accounted for: it came out
// unchanged, or it was denied. The direct evaluator says which contents would have done that, and
// one of them must have been in force meanwhile.
//
// A round is a few hundred packets of different flows, both ways, and behind them markers, which
// every content allows: one for each worker and direction. Where packets go one way through one
// worker they keep their order, so when all markers are out, what has not come out has been
// dropped. That policy dropped it, and nothing else, is for the counters to say in the end.
// Thread: one makes it and stops it; it has a thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "classifier/key.h"
#include "policy/lower.h"
#include "tests/control/soak/in_force.h"
#include "tests/dataplane/ring_port.h"

namespace portcullis::control {

class Traffic {
 public:
  struct Wire {
    test::RingPort& left;
    test::RingPort& right;
    std::size_t workers = 1;
  };
  struct Account {
    std::uint64_t rounds = 0;
    std::uint64_t swapped = 0;  // Of these: something was published meanwhile.
    std::uint64_t sent = 0;     // Markers, too.
    std::uint64_t received = 0;
    std::uint64_t denied = 0;   // Did not come out, and markers behind them did.
    std::uint64_t strange = 0;  // Came out, but were not sent in this round, or were changed.
    std::uint64_t judged = 0;   // Verdicts that a content in force explains.
    std::uint64_t early = 0;    // Of these: seen ahead of the publication, of an edit.
    std::uint64_t unexplained = 0;
    std::vector<std::string> examples;  // The first of these.
    bool is_stuck = false;              // A marker was lost; nothing was sent since.
  };

  /// REQUIRES: the wire and `in_force` outlive it; a first content was named.
  Traffic(Wire wire, InForce& in_force, policy::LowerOptions options, std::uint64_t seed);
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;
  ~Traffic() = default;

  /// Ends it with the round under way. Call it once.
  void stop();
  /// Judges what is left. REQUIRES: it was stopped, and since then all publications were named.
  const Account& account();
  /// Thread: any.
  [[nodiscard]] std::uint64_t rounds() const { return rounds_.load(); }

 private:
  struct Path {
    classifier::Flow flow;
    test::Bytes frame;
    bool to_right = true;
  };
  struct Outcome {
    std::size_t flow = 0;
    bool passed = false;
  };
  /// What became of a round's packets, and the contents that may have done it.
  struct Round {
    std::uint64_t oldest = 0;
    std::uint64_t newest = 0;
    std::vector<Outcome> outcomes;
  };
  /// One that none of them explains: only the edit that comes next still may.
  struct Early {
    Outcome outcome;
    std::uint64_t oldest = 0;
    std::uint64_t newest = 0;
  };

  void make_flows();
  void make_markers();
  void run(const std::stop_token& stop);
  void play();
  void put(const Path& path);
  void take(test::RingPort& port, Round& round);
  [[nodiscard]] bool agrees(const Outcome& outcome, const policy::Snapshot& snapshot) const;
  /// Judges all rounds whose contents are known by now.
  void judge();
  void judge(const Round& round);
  void judge_early();
  void blame(const Early& early);
  [[nodiscard]] std::string text_of(const Early& early) const;

  const Wire wire_;
  InForce& in_force_;
  const policy::LowerOptions options_;
  std::mt19937_64 random_;
  std::vector<Path> flows_;
  std::vector<Path> markers_;
  std::unordered_map<std::string, std::size_t> waiting_;  // A round's flows by their bytes.
  std::size_t markers_missing_ = 0;
  std::deque<Round> rounds_played_;
  std::deque<Early> early_;
  Account account_;
  std::atomic<std::uint64_t> rounds_ = 0;
  std::jthread thread_;  // Last: it uses all of the above.
};

}  // namespace portcullis::control
