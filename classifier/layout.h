// SPDX-License-Identifier: MIT
// The bytes of a table: what compile writes and kernels read. Drawn and explained in
// docs/table_format.md.
// Thread: plain data. Units: host byte order; every index counts records, not bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "classifier/filter/layout.h"

namespace portcullis::classifier {

/// The parts of a table, in the order in which they lie in memory.
enum class Part : std::uint8_t {
  window_v4,        // Entry4[window size]: classes, one an address.
  root_v4,          // Entry4[65536]: by the upper 16 bits.
  nodes_v4,         // Entry4[n][256]: by the next 8 bits.
  hosts_v6,         // Host6[power of two]: open addressing, linear probing.
  nodes_v6,         // u32[n][256]: address entries by 8 bits a level; node 0 is the root.
  owners_v4,        // Owner4[power of two]: the node of each IPv4 endpoint; used by forks only.
  sources,          // SourceRecord[classes].
  destinations,     // DestinationRecord[classes].
  spans,            // Span[n]: rows of both half matrices.
  tiles,            // u8 or u16 [n][32]: cells; tile 0 is all zero.
  outcomes,         // u32[n]: what the cells of a row mean.
  lines,            // PortLine[n].
  forks,            // Fork[n].
  permit_rows,      // u32[classes], or four of them: where the permits of a source begin.
  permit_cells,     // u32[n], or two of them: rows laid into each other's gaps.
  permit_lines,     // PermitLine[n].
  permit_defaults,  // u32[classes], or two of them: its lines where no cell says otherwise.
  filter,           // A FilterHeader and what it says; nothing without static rules.
};
inline constexpr std::size_t kPartCount = 18;

/// Address entry: | child 1 | class or node index 31 |
inline constexpr std::uint32_t kChild = 1U << 31U;
/// An Entry4, of IPv4, is the same in 16 bits if so many classes and nodes are enough; else in 32.
inline constexpr std::uint32_t kNarrowEntries = 1U << 15U;
inline constexpr std::uint32_t kNoClass = 0xffff'ffffU;

/// Outcome: | fork 1 | reference 1 | index 30 |, or, without the reference bit, a Decision.
/// A reference is to a PortLine; with the fork bit, to a Fork.
inline constexpr std::uint32_t kReference = 1U << 30U;
inline constexpr std::uint32_t kFork = 1U << 31U;
inline constexpr std::uint32_t kReferenceIndex = kReference - 1;

inline constexpr unsigned kTileBits = 5;
inline constexpr unsigned kTileColumns = 1U << kTileBits;
/// Columns that one Span covers: 32 tiles.
inline constexpr unsigned kSpanBits = kTileBits + 5;

/// What a class is as the source of a flow: subject of egress, peer of ingress.
struct SourceRecord {
  std::uint32_t egress_spans = 0;     // Its row: the first of its spans.
  std::uint32_t egress_outcomes = 0;  // Its row: where cell 0 finds its outcome.
  std::uint32_t ingress_column = 0;
  std::uint32_t is_workload = 0;
};
static_assert(sizeof(SourceRecord) == 16);

/// What a class is as the destination of a flow: subject of ingress, peer of egress.
struct DestinationRecord {
  std::uint32_t ingress_spans = 0;
  std::uint32_t ingress_outcomes = 0;
  std::uint32_t egress_column = 0;
  std::uint32_t is_workload = 0;
};
static_assert(sizeof(DestinationRecord) == 16);

/// 1024 columns of a row. Bit b of `present` is set when the row has a tile of its own for the
/// columns 32b..32b+31; that tile is `tile` + the number of set bits below b. A clear bit means
/// that all of these cells are 0.
struct Span {
  std::uint32_t present = 0;
  std::uint32_t tile = 0;
};
static_assert(sizeof(Span) == 8);

/// One step of a decision by port: outcome[number of limits <= key], where the key is
/// protocol << 16 | destination port. Unused limits are kNoLimit. An outcome may be another line.
struct PortLine {
  static constexpr std::size_t kWays = 8;
  static constexpr std::uint32_t kNoLimit = 0x7fff'ffffU;
  std::array<std::uint32_t, kWays> limits{};  // The last one is always kNoLimit.
  std::array<std::uint32_t, kWays> outcomes{};
};
static_assert(sizeof(PortLine) == 64);

/// A decision that depends on whether the peer is the subject's own node. Never nested.
struct Fork {
  std::uint32_t ordinary = 0;
  std::uint32_t own_node = 0;
};
static_assert(sizeof(Fork) == 8);

/// `node` is the node's endpoint index: of the workload at `address`, or of the node itself.
struct Owner4 {
  std::uint32_t address = 0;
  std::uint32_t node = kNoClass;  // kNoClass: the slot is empty.
};
static_assert(sizeof(Owner4) == 8);

struct Host6 {
  std::array<std::uint8_t, 16> address{};
  std::uint32_t address_class = kNoClass;  // kNoClass: the slot is empty.
  std::uint32_t node = kNoClass;           // As Owner4::node; kNoClass: not known.
};
static_assert(sizeof(Host6) == 24);

/// What holds between a class and another where no permit cell says otherwise. Classes are numbered
/// by their opening as destinations; a permit row begins with its opening as a source.
enum class Opening : std::uint8_t {
  closed,   // Nothing is allowed.
  by_port,  // What the line in permit_defaults says.
  open,     // Everything is allowed.
  outside,  // No workload: as open, but not to another such end where transit is denied.
};

/// The permit parts are narrow where 16 bits are enough to number classes and lines.
enum class PermitForm : std::uint8_t { none, narrow, wide };

/// Permit row: | opening 2 | workload 1 | base 29 |. The cell of a destination class is at
/// base + class. A workload is allowed to reach its own address. Wide rows have three more words:
/// the base of a row that other sources share, asked where their own says nothing, and a filter for
/// each. Where bit class / 256 % 32 of a filter is clear, the row has no cell for that class.
inline constexpr unsigned kOpeningShift = 30;
inline constexpr std::uint32_t kPermitWorkload = 1U << 29U;
inline constexpr std::uint32_t kPermitBase = kPermitWorkload - 1;
inline constexpr unsigned kWideRowShift = 2;
inline constexpr unsigned kFilterShift = 8;
/// Narrow permit cell: | destination class 16 | permit line 16 |. It is the row's own if the class
/// is the one asked for: bases are unique, so base and class follow from place and class.
inline constexpr unsigned kCellClassShift = 16;
inline constexpr std::uint32_t kCellLine = 0xffff;
inline constexpr std::uint32_t kNoCell = 0xffff'ffffU;
/// Classes and lines that narrow cells can name; the last number is that of free cells, or
/// kLineWalk.
inline constexpr std::size_t kNarrowPermits = 65535;
/// Wide permit cell, two words: | default 1 | destination class 31 | permit line 32 |. With the
/// first bit, neither this row nor the shared one says anything of that class.
inline constexpr std::uint32_t kCellDefault = 1U << 31U;
/// Permit default: | line as destination 16 | line as source 16 |; wide: two words, the line as
/// source first.

/// Permit lines that every table has, and the one that none has: it depends on the node, so the
/// whole walk is asked. Narrow cells and defaults keep the lower half of it.
inline constexpr std::uint32_t kLineNothing = 0;
inline constexpr std::uint32_t kLineEverything = 1;
inline constexpr std::uint32_t kLineWalk = 0xffff'ffffU;

/// Which (protocol << 16 | destination port) are allowed: those with an odd number of toggles at or
/// below them. Unused toggles are PortLine::kNoLimit; a line without one goes on in the next.
struct PermitLine {
  static constexpr std::size_t kToggles = 8;
  std::array<std::uint32_t, kToggles> toggles{};
};
static_assert(sizeof(PermitLine) == 32);

struct PartPlace {
  std::uint64_t offset = 0;  // Bytes from the start of the header; a multiple of 64.
  std::uint64_t bytes = 0;
};

/// The first bytes of every table.
struct Header {
  static constexpr std::uint64_t kMagic = 0x3262'5463'7274'7250;  // "PrtrcTb2"
  std::uint64_t magic = kMagic;
  std::uint64_t total_bytes = 0;
  std::uint32_t class_count = 0;
  std::uint32_t cell_shift = 0;  // 0: cells are bytes; 1: cells are 16 bits.
  std::uint32_t hosts_v6_mask = 0;
  std::uint32_t owners_v4_mask = 0;
  std::uint32_t window_first = 0;  // The first address of window_v4.
  std::uint32_t window_size = 0;   // How many addresses it covers.
  std::uint32_t entry_shift = 0;   // 1: an Entry4 is 16 bits; 2: it is 32.
  std::uint32_t permits = 0;       // A PermitForm.
  // By number, classes are closed, by_port, open, outside as destinations; where each begins.
  std::uint32_t first_by_port = 0;
  std::uint32_t first_open = 0;
  std::uint32_t first_outside = 0;
  std::uint32_t transit_denied = 0;   // 1: nothing is allowed between two classes outside.
  std::uint32_t first_static_id = 0;  // The id of static rule 0.
  std::array<PartPlace, kPartCount> parts{};
};

/// The parts of one table by their addresses. Valid as long as the table is.
struct TableView {
  const std::uint8_t* window_v4 = nullptr;
  const std::uint8_t* root_v4 = nullptr;
  const std::uint8_t* nodes_v4 = nullptr;
  const Host6* hosts_v6 = nullptr;
  const std::uint32_t* nodes_v6 = nullptr;
  const Owner4* owners_v4 = nullptr;
  const SourceRecord* sources = nullptr;
  const DestinationRecord* destinations = nullptr;
  const Span* spans = nullptr;
  const std::uint8_t* tiles = nullptr;
  const std::uint32_t* outcomes = nullptr;
  const PortLine* lines = nullptr;
  const Fork* forks = nullptr;
  const std::uint32_t* permit_rows = nullptr;  // Null: the table has no permits.
  const std::uint32_t* permit_cells = nullptr;
  const std::uint32_t* permit_lines = nullptr;
  const std::uint32_t* permit_defaults = nullptr;
  std::uint32_t first_by_port = 0;
  std::uint32_t first_open = 0;
  std::uint32_t first_shut = 0;  // Of classes that sources outside do not reach.
  std::uint32_t hosts_v6_mask = 0;
  std::uint32_t owners_v4_mask = 0;
  std::uint32_t cell_shift = 0;
  std::uint32_t cell_mask = 0;
  std::uint32_t window_first = 0;
  std::uint32_t window_size = 0;
  std::uint32_t entry_shift = 0;
  std::uint32_t entry_mask = 0;
  bool permits_wide = false;
  bool filtered = false;  // Static rules decide first.
  FilterView filter;
};

/// Where the search for an address begins in owners_v4 and hosts_v6, before the mask. Always
/// inline: kernels of different instruction sets must not share a function.
[[gnu::always_inline]] constexpr std::uint32_t hash_v4(std::uint32_t address) {
  const std::uint64_t mixed = address * 0x9e37'79b9'7f4a'7c15ULL;
  return static_cast<std::uint32_t>(mixed >> 32U);
}
[[gnu::always_inline]] constexpr std::uint32_t hash_v6(std::uint64_t high, std::uint64_t low) {
  const std::uint64_t folded = (high * 0xff51'afd7'ed55'8ccdULL) ^ (high >> 29U) ^ low;
  const std::uint64_t mixed = (folded ^ (folded >> 32U)) * 0x9e37'79b9'7f4a'7c15ULL;
  return static_cast<std::uint32_t>(mixed >> 32U);
}

}  // namespace portcullis::classifier
