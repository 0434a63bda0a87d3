// SPDX-License-Identifier: MIT
// Filter sets of plain 5-tuple rules in ClassBench's format: read from files, or generated with
// the structure that Taylor and Turner published; and traces of keys over them.
// Thread: plain data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "classifier/key.h"

namespace portcullis::bench {

/// One filter: it matches when all fields do. Masks say which bits of a value count.
struct FilterRule {
  Prefix src;
  Prefix dst;
  std::uint16_t src_port_first = 0;
  std::uint16_t src_port_last = 0xffff;
  std::uint16_t dst_port_first = 0;
  std::uint16_t dst_port_last = 0xffff;
  std::uint8_t protocol = 0;
  std::uint8_t protocol_mask = 0;
  std::uint8_t tcp_flags = 0;
  std::uint8_t tcp_flags_mask = 0;

  friend auto operator<=>(const FilterRule&, const FilterRule&) = default;
};

/// True when the rule's five fields hold the key's. TCP flags are not looked at.
bool holds(const FilterRule& rule, const classifier::Key4& key);

/// In order of priority: the first rule that holds a key decides.
using FilterSet = std::vector<FilterRule>;

/// One line: "@SRC/LEN DST/LEN SPORT : SPORT DPORT : DPORT PROTO/MASK [FLAGS/MASK]".
/// Errors: what is wrong with the line.
Result<FilterRule> parse_filter(std::string_view line);

/// A whole file, gzipped or not; empty lines are passed over.
/// Errors: cannot read; a line that is no rule, with its number.
Result<FilterSet> load_filters(const std::filesystem::path& path);

/// The kinds of sets that ClassBench tells apart: access control lists, firewalls, IP chains.
enum class FilterKind : std::uint8_t { acl, fw, ipc };
inline constexpr std::array kFilterKinds{FilterKind::acl, FilterKind::fw, FilterKind::ipc};
const char* to_string(FilterKind kind);

struct FilterShape {
  FilterKind kind = FilterKind::acl;
  std::size_t rules = 0;
  std::uint64_t seed = 1;
};

/// `shape.rules` different rules, narrower ones first wherever one lies inside another. Equal
/// shapes give equal sets.
FilterSet make_filters(const FilterShape& shape);

/// 262,144 keys: nine in ten lie in a rule, in runs whose lengths are Pareto distributed, and are
/// shuffled; the rest are random.
std::vector<classifier::Key4> make_filter_trace(const FilterSet& filters, std::uint64_t seed);

}  // namespace portcullis::bench
