// SPDX-License-Identifier: MIT
#include "classifier/compiler/outcomes.h"

#include <algorithm>
#include <array>
#include <bit>

namespace portcullis::classifier {
namespace {

constexpr std::size_t kWordsPerLine = sizeof(PortLine) / sizeof(std::uint32_t);
constexpr std::size_t kWordsPerFork = sizeof(Fork) / sizeof(std::uint32_t);
constexpr std::uint32_t kKeyEnd = 1U << 24U;
constexpr std::uint32_t kOpen = 0xffff'ffffU;    // No tier decided yet.
constexpr std::uint32_t kPassed = 0xffff'fffeU;  // A rule said pass: on with the next tier.

constexpr std::uint32_t key_of(std::uint8_t protocol, std::uint16_t port) {
  return (std::uint32_t{protocol} << 16U) | port;
}

Decision default_decision(DefaultMode mode) {
  return mode == DefaultMode::deny ? Decision::deny(rule_id(Builtin::default_deny))
                                   : Decision::allow(rule_id(Builtin::default_allow));
}

std::uint32_t painted_by(const Rule& rule, std::size_t index) {
  switch (rule.action) {
    case Action::allow:
      return Decision::allow(rule_id(index)).bits;
    case Action::deny:
      return Decision::deny(rule_id(index)).bits;
    case Action::pass:
    case Action::none:
      break;
  }
  return kPassed;
}

}  // namespace

Outcomes::Outcomes(const RuleSet& rules) : Outcomes(rules, std::make_shared<RangesOfPorts>()) {
  for (const PortSet& ports : rules.port_sets) {
    ranges_->push_back(ranges_of(ports));
  }
}

Outcomes Outcomes::sibling() const {
  return {rules_, ranges_};
}

Outcomes::KeyRanges Outcomes::ranges_of(const PortSet& ports) {
  KeyRanges ranges;
  if (ports.everything) {
    ranges.emplace_back(0, kKeyEnd - 1);
    return ranges;
  }
  for (const PortRange& range : ports.ranges) {
    if (range.first <= range.last) {
      ranges.emplace_back(key_of(range.protocol, range.first), key_of(range.protocol, range.last));
    }
  }
  return ranges;
}

void Outcomes::clear() {
  asked_.clear();
  outcome_of_asked_.clear();
  lines_.clear();
  forks_.clear();
}

std::uint32_t Outcomes::adopt(const Outcomes& other, std::uint32_t outcome, Adopted& adopted) {
  if ((outcome & kReference) == 0) {
    return outcome;
  }
  const bool is_fork = (outcome & kFork) != 0;
  const Intern& from = is_fork ? other.forks_ : other.lines_;
  Intern& into = is_fork ? forks_ : lines_;
  const std::size_t words = is_fork ? kWordsPerFork : kWordsPerLine;
  auto& known = is_fork ? adopted.forks : adopted.lines;
  known.resize(from.words().size() / words);
  const std::uint32_t index = outcome & kReferenceIndex;
  if (known[index] == 0) {
    std::array<std::uint32_t, kWordsPerLine> record{};
    std::copy_n(
        from.words().begin() + static_cast<std::ptrdiff_t>(index * words), words, record.begin());
    // Of a line, outcomes come after as many limits. No line holds itself, so this ends.
    for (std::size_t i = is_fork ? 0 : PortLine::kWays; i < words; ++i) {
      record[i] = adopt(other, record[i], adopted);
    }
    const auto place = into.place(std::span(record).first(words)) / words;
    known[index] = (outcome & kFork) | kReference | static_cast<std::uint32_t>(place);
  }
  return known[index];
}

void Outcomes::forget(std::span<const PortsIndex> changed_ports) {
  asked_ = Intern();
  outcome_of_asked_.clear();
  ranges_->resize(rules_.port_sets.size());
  for (const PortsIndex ports : changed_ports) {
    (*ranges_)[ports] = ranges_of(rules_.port_sets[ports]);
  }
}

std::uint32_t Outcomes::of(std::span<const std::uint32_t> rules, bool peer_is_node) {
  run_.assign(1, peer_is_node ? 1 : 0);
  run_.insert(run_.end(), rules.begin(), rules.end());
  const std::uint32_t place = asked_.place(run_);
  if (!asked_.found()) {
    outcome_of_asked_.resize(asked_.words().size());
    outcome_of_asked_[place] = make(rules, peer_is_node);
  }
  return outcome_of_asked_[place];
}

std::uint32_t Outcomes::make(std::span<const std::uint32_t> rules, bool peer_is_node) {
  cut(rules);
  const auto after_admin = paint(rules, Tier::admin);
  const auto by_admin = peer_is_node ? painted_ : std::vector<std::uint32_t>{};

  paint(paint(after_admin, Tier::network_policy), Tier::baseline);
  close_open_pieces(default_decision(rules_.default_mode));
  std::vector<Piece> pieces;
  const auto word_of_painted = [&] {
    pieces.clear();
    for (std::size_t i = 0; i < painted_.size(); ++i) {
      if (pieces.empty() || pieces.back().outcome != painted_[i]) {
        pieces.push_back({.begin = begins_[i], .outcome = painted_[i]});
      }
    }
    return word_of(pieces);
  };
  const std::uint32_t ordinary = word_of_painted();
  if (!peer_is_node) {
    return ordinary;
  }
  painted_ = by_admin;
  close_open_pieces(Decision::allow(rule_id(Builtin::own_node)));
  const std::uint32_t own_node = word_of_painted();
  if (own_node == ordinary) {
    return ordinary;
  }
  const auto fork =
      std::bit_cast<std::array<std::uint32_t, 2>>(Fork{.ordinary = ordinary, .own_node = own_node});
  return kFork | kReference | static_cast<std::uint32_t>(forks_.place(fork) / kWordsPerFork);
}

/// Cuts the key space at every port where one of the rules begins or ends.
void Outcomes::cut(std::span<const std::uint32_t> rules) {
  begins_.assign(1, 0);
  for (const std::uint32_t index : rules) {
    for (const auto& [first, last] : (*ranges_)[rules_.rules[index].ports]) {
      begins_.push_back(first);
      if (last + 1 < kKeyEnd) {
        begins_.push_back(last + 1);
      }
    }
  }
  std::ranges::sort(begins_);
  begins_.erase(std::unique(begins_.begin(), begins_.end()), begins_.end());
  painted_.assign(begins_.size(), kOpen);
}

std::span<const std::uint32_t> Outcomes::paint(std::span<const std::uint32_t> rules, Tier tier) {
  next_.resize(painted_.size() + 1);
  next_.back() = static_cast<std::uint32_t>(painted_.size());
  for (auto i = static_cast<std::uint32_t>(painted_.size()); i-- > 0;) {
    painted_[i] = painted_[i] == kPassed ? kOpen : painted_[i];
    next_[i] = painted_[i] == kOpen ? i : next_[i + 1];
  }
  while (!rules.empty() && rules_.rules[rules.front()].tier == tier) {
    const Rule& rule = rules_.rules[rules.front()];
    for (const auto& range : (*ranges_)[rule.ports]) {
      paint_range(range, painted_by(rule, rules.front()));
    }
    rules = rules.subspan(1);
  }
  return rules;
}

/// The first rule to reach a piece decides it, so each piece is painted once a tier.
void Outcomes::paint_range(std::pair<std::uint32_t, std::uint32_t> range, std::uint32_t outcome) {
  const auto first = std::ranges::lower_bound(begins_, range.first);
  auto piece = next_open(static_cast<std::uint32_t>(first - begins_.begin()));
  while (piece < painted_.size() && begins_[piece] <= range.second) {
    painted_[piece] = outcome;
    next_[piece] = piece + 1;
    piece = next_open(piece + 1);
  }
}

std::uint32_t Outcomes::next_open(std::uint32_t piece) {
  while (next_[piece] != piece) {
    next_[piece] = next_[next_[piece]];  // Halves the path for the next search.
    piece = next_[piece];
  }
  return piece;
}

void Outcomes::close_open_pieces(Decision decision) {
  for (std::uint32_t& painted : painted_) {
    if (painted == kOpen || painted == kPassed) {
      painted = decision.bits;
    }
  }
}

/// A Decision, or the root of a tree of lines, built from the leaves up.
std::uint32_t Outcomes::word_of(std::span<const Piece> pieces) {
  std::vector<Piece> level(pieces.begin(), pieces.end());
  while (level.size() > 1) {
    std::vector<Piece> above;
    for (std::size_t i = 0; i < level.size(); i += PortLine::kWays) {
      const auto group = std::span(level).subspan(i, std::min(PortLine::kWays, level.size() - i));
      above.push_back({.begin = group[0].begin,
                       .outcome = group.size() == 1 ? group[0].outcome : line_of(group)});
    }
    level = std::move(above);
  }
  return level[0].outcome;
}

std::uint32_t Outcomes::line_of(std::span<const Piece> pieces) {
  PortLine line;
  line.limits.fill(PortLine::kNoLimit);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    line.outcomes[i] = pieces[i].outcome;
    if (i > 0) {
      line.limits[i - 1] = pieces[i].begin;
    }
  }
  const auto words = std::bit_cast<std::array<std::uint32_t, kWordsPerLine>>(line);
  return kReference | static_cast<std::uint32_t>(lines_.place(words) / kWordsPerLine);
}

}  // namespace portcullis::classifier
