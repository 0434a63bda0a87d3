// SPDX-License-Identifier: MIT
// Outcomes: what an ordered list of rules decides, port by port, as the words that cells lead to.
// Thread: one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "classifier/compiler/intern.h"
#include "classifier/layout.h"
#include "classifier/rule.h"
#include "classifier/verdict.h"

namespace portcullis::classifier {

/// Makes outcome words, and the port lines and forks they refer to.
class Outcomes {
 public:
  explicit Outcomes(const RuleSet& rules);
  /// Others of the same rules, of which nothing is made yet. Thread: both may be asked beside each
  /// other, as long as neither forgets.
  [[nodiscard]] Outcomes sibling() const;

  /// The outcome for a workload subject and peers that exactly these rules hold: indices into
  /// RuleSet::rules of one direction, ordered by tier, then by priority.
  std::uint32_t of(std::span<const std::uint32_t> rules, bool peer_is_node);

  /// Forgets everything that was asked and made, but for the rules.
  void clear();

  /// Outcomes of another by the number of their line or fork, as they are called here. 0: not yet.
  struct Adopted {
    std::vector<std::uint32_t> lines;
    std::vector<std::uint32_t> forks;
  };
  /// What an outcome of `other` is here; its lines and forks are placed as far as they are new.
  std::uint32_t adopt(const Outcomes& other, std::uint32_t outcome, Adopted& adopted);

  /// Rules have changed, or these port sets: nothing asked before holds. Lines and forks stay.
  void forget(std::span<const PortsIndex> changed_ports);

  /// PortLines and Forks as words.
  [[nodiscard]] const Intern& lines() const { return lines_; }
  [[nodiscard]] const Intern& forks() const { return forks_; }

 private:
  /// Decided until the next piece begins.
  struct Piece {
    std::uint32_t begin = 0;
    std::uint32_t outcome = 0;
  };
  /// Keys of a port set: sorted, disjoint, [first, last] of protocol << 16 | port.
  using KeyRanges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  using RangesOfPorts = std::vector<KeyRanges>;  // By PortsIndex; `everything` is one range.

  Outcomes(const RuleSet& rules, std::shared_ptr<RangesOfPorts> ranges)
      : rules_(rules), ranges_(std::move(ranges)) {}

  static KeyRanges ranges_of(const PortSet& ports);
  std::uint32_t make(std::span<const std::uint32_t> rules, bool peer_is_node);
  void cut(std::span<const std::uint32_t> rules);
  /// Paints one tier's decisions on pieces that are still open; returns the rules after it.
  std::span<const std::uint32_t> paint(std::span<const std::uint32_t> rules, Tier tier);
  void paint_range(std::pair<std::uint32_t, std::uint32_t> range, std::uint32_t outcome);
  [[nodiscard]] std::uint32_t next_open(std::uint32_t piece);
  void close_open_pieces(Decision decision);
  std::uint32_t word_of(std::span<const Piece> pieces);
  std::uint32_t line_of(std::span<const Piece> pieces);

  const RuleSet& rules_;
  std::shared_ptr<RangesOfPorts> ranges_;  // Siblings read it, too.
  Intern lines_;
  Intern forks_;

  // Results by the rules that made them; the first word of a run says whether the peer is a node.
  Intern asked_;
  std::vector<std::uint32_t> outcome_of_asked_;  // By place in asked_.

  // Room for one make().
  std::vector<std::uint32_t> begins_;
  std::vector<std::uint32_t> painted_;
  std::vector<std::uint32_t> next_;  // The first piece from here on that this tier left open.
  std::vector<std::uint32_t> run_;
};

}  // namespace portcullis::classifier
