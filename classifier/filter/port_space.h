// SPDX-License-Identifier: MIT
// The fields of static rules that are no addresses: protocol, ports, ICMP type and code, TCP flags.
// Port points are the values of all of them together that no rule tells apart.
// Thread: const after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "classifier/filter/limit_search.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// What a rule says of those fields.
struct PortMatch {
  std::optional<std::uint8_t> protocol;
  Interval src_ports;
  Interval dst_ports;
  Interval icmp;
  std::uint8_t tcp_flags = 0;
  std::uint8_t tcp_flags_mask = 0;

  friend auto operator<=>(const PortMatch&, const PortMatch&) = default;
};
PortMatch port_match_of(const StaticRule& rule);

/// How a key finds its port point; docs/table_format.md draws it.
struct PortArrays {
  std::vector<std::uint32_t> protocols;
  std::vector<std::uint32_t> flags;
  SearchTree dst_ports;
  SearchTree src_ports;
  std::vector<std::uint32_t> rows;
  std::vector<std::uint16_t> points;
  bool flags_matter = false;
  bool src_ports_matter = false;
};

class PortSpace {
 public:
  /// Takes the most used matches first, as long as there is room for all values of all fields.
  explicit PortSpace(std::span<const StaticRule> rules);

  /// The number of a match, or nothing where the space has no room for it.
  [[nodiscard]] std::optional<std::uint32_t> find(const PortMatch& match) const;
  [[nodiscard]] std::size_t points() const { return point_count_; }
  /// The points that a match holds, one bit each.
  [[nodiscard]] std::span<const std::uint64_t> bits(std::uint32_t match) const {
    return std::span(bits_).subspan(match * words(), words());
  }
  [[nodiscard]] std::size_t words() const { return (point_count_ + 63) / 64; }
  [[nodiscard]] const PortArrays& arrays() const { return arrays_; }

 private:
  /// Where values of each field are told apart; a value's class is its number among them.
  struct Axes {
    std::set<std::uint8_t> protocols;  // The others share class 0.
    std::set<std::uint32_t> dst_cuts{0};
    std::set<std::uint32_t> src_cuts{0};
    std::set<std::pair<std::uint8_t, std::uint8_t>> flags;  // Value, mask.

    std::size_t flag_classes = 1;

    /// Adds what the match tells apart, unless that would make more than `room` cells.
    bool add(const PortMatch& match, std::size_t room);
  };
  void choose(std::span<const std::pair<std::size_t, PortMatch>> by_use, std::size_t room);
  void number_axes();
  bool number_points();
  template <typename Visitor>
  void for_each_cell(const PortMatch& match, Visitor visit) const;
  void fill_arrays();

  Axes axes_;
  std::map<PortMatch, std::uint32_t> matches_;
  std::vector<std::optional<std::uint8_t>> protocol_of_class_;
  std::vector<std::uint8_t> flags_of_class_;  // One of the values of each class.
  std::vector<std::uint32_t> class_of_flags_;
  std::vector<std::uint32_t> dst_begins_;
  std::vector<std::uint32_t> src_begins_;
  std::vector<std::uint16_t> point_of_cell_;  // [protocol][flags][dst][src].
  std::size_t point_count_ = 0;
  std::vector<std::uint64_t> bits_;
  PortArrays arrays_;
};

}  // namespace portcullis::classifier
