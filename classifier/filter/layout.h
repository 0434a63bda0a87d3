// SPDX-License-Identifier: MIT
// The bytes of the static rules in a table: what the filter's compiler writes and kernels read.
// Explained in docs/table_format.md.
// Thread: plain data. Units: host byte order; every index counts records, not bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace portcullis::classifier {

/// Groups of rules that have a product of their own.
inline constexpr std::size_t kProductsMax = 4;

/// Arrays of the filter, in the order in which they lie in memory.
enum class FilterPart : std::uint8_t {
  src_root_v4,    // u32[65536]: address entries, as in nodes_v6 of the table; 16 bits,
  src_nodes_v4,   // u32[n][256]: then 8 bits a level. A leaf is a point. Where there are many,
  src_limits_v4,  // u32[nodes][16]: a search tree instead; see AddressSearch,
  src_ranks_v4,   // u32[n]: and the points of its ranks.
  src_nodes_v6,   // u32[n][256]: node 0 is the root.
  dst_root_v4,    // The same of destinations.
  dst_nodes_v4,   //
  dst_limits_v4,  //
  dst_ranks_v4,   //
  dst_nodes_v6,   //
  protocols,      // u32[256]: what a protocol adds to the index into port_rows.
  flags,          // u32[256]: what TCP flags add to it.
  dst_ports,      // u16[65536]: what a destination port, or an ICMP type and code, adds to it.
  src_ports,      // u16[65536]: what a source port adds to a row.
  port_rows,      // u32[n]: rows of port_points, or port points where source ports do not matter.
  port_points,    // u16[n].
  lists,          // RuleList[n]: rules in order that hold a pair of points; list 0 is empty.
  shapes,         // u8 or u16 [n]: by port point, the number of the list's rule; 0: none.
  outcomes,       // u32[n]: by list and number.
  tree,           // TreeNode[n]: of the rules without a product; node 0 is the root.
  leaves,         // RuleBlock[n].
  bases,          // u32[source points][kProductsMax]: where in cells a row begins.
  columns,        // u32[destination points][kProductsMax].
  cells,          // Cells of all products, one after another.
};
inline constexpr std::size_t kFilterPartCount = 24;

/// Outcome of a rule: | rule 30 | action 2 |; smaller is earlier. None: no rule.
inline constexpr unsigned kOutcomeRuleShift = 2;
inline constexpr std::uint32_t kOutcomeAction = 3;  // As Action.
inline constexpr std::uint32_t kNoOutcome = 0xffff'ffffU;

/// A search tree over ascending limits, level by level, 16 limits a node: below node n, child c of
/// the next level is node 17n + c, where c counts the limits below the address. After the last
/// level that number is the address's rank, which has a point. A limit is the last address of a
/// rank, less 2^31, so that a signed comparison orders them; where there is no rank it is the last
/// of all.
struct AddressSearch {
  static constexpr std::uint32_t kLimits = 16;
  static constexpr std::uint32_t kLevelsMax = 8;
  static constexpr std::uint32_t kBias = 1U << 31U;
  std::uint32_t depth = 0;                // 0: the trie is used.
  std::uint32_t levels[kLevelsMax] = {};  // Where each level begins, in nodes.
};

struct RuleList {
  std::uint32_t shape = 0;     // Its cell of port point 0.
  std::uint32_t outcomes = 0;  // Its outcome 0, which is kNoOutcome.
};
static_assert(sizeof(RuleList) == 8);

/// A cell of a product whose rows lie in each other's gaps: the row's own if the column is the one
/// asked for. Cells of products with whole rows are the list alone.
struct SparseCell {
  std::uint32_t column = 0xffff'ffffU;
  std::uint32_t list = 0;
};
static_assert(sizeof(SparseCell) == 8);

/// Points below `split` go on at `below`, the others at below + 1; a leaf has its blocks instead.
struct TreeNode {
  static constexpr std::uint32_t kLeaf = 2;
  std::uint32_t field = kLeaf;  // 0: the source's point; 1: the destination's.
  std::uint32_t split = 0;
  std::uint32_t below = 0;   // A leaf: its first block.
  std::uint32_t blocks = 0;  // A leaf: how many.
};
static_assert(sizeof(TreeNode) == 16);

/// Eight rules in order, field by field; a field fits if value - first <= span, or by its mask.
struct RuleBlock {
  static constexpr std::size_t kRules = 8;
  struct Range {
    std::uint32_t first[kRules];
    std::uint32_t span[kRules];
  };
  struct Ternary {
    std::uint32_t value[kRules];
    std::uint32_t mask[kRules];
  };
  Range src;  // Points.
  Range dst;
  Range src_port;
  Range dst_port;
  Range icmp;
  Ternary kind;                   // protocol << 8 | TCP flags.
  std::uint32_t outcome[kRules];  // kNoOutcome: no rule.
};
static_assert(sizeof(RuleBlock) == 416);

struct FilterHeader {
  struct Place {
    std::uint64_t offset = 0;  // Bytes from the start of this header; a multiple of 64.
    std::uint64_t bytes = 0;
  };
  std::uint32_t src_points = 0;
  std::uint32_t dst_points = 0;
  std::uint32_t products = 0;
  std::uint32_t shape_shift = 0;  // 0: shapes are bytes; 1: 16 bits.
  std::uint32_t flags_matter = 0;
  std::uint32_t src_ports_matter = 0;
  std::uint32_t has_tree = 0;
  AddressSearch src_search;
  AddressSearch dst_search;
  std::array<std::uint32_t, kProductsMax> cells{};   // Where each product's cells begin, in words.
  std::array<std::uint32_t, kProductsMax> sparse{};  // 1: SparseCells; 0: lists.
  std::array<Place, kFilterPartCount> parts{};
};

/// The filter of one table by its addresses. Valid as long as the table is.
struct FilterView {
  struct AddressMap {
    const std::uint32_t* root_v4 = nullptr;
    const std::uint32_t* nodes_v4 = nullptr;
    const std::uint32_t* limits_v4 = nullptr;
    const std::uint32_t* ranks_v4 = nullptr;
    const std::uint32_t* nodes_v6 = nullptr;
    AddressSearch search;
  };
  AddressMap src;
  AddressMap dst;
  const std::uint32_t* protocols = nullptr;
  const std::uint32_t* flags = nullptr;  // Null: TCP flags do not matter.
  const std::uint8_t* dst_ports = nullptr;
  const std::uint8_t* src_ports = nullptr;  // Null: source ports do not matter.
  const std::uint32_t* port_rows = nullptr;
  const std::uint8_t* port_points = nullptr;
  const std::uint32_t* lists = nullptr;
  const std::uint8_t* shapes = nullptr;
  const std::uint32_t* outcomes = nullptr;
  const TreeNode* tree = nullptr;  // Null: every rule is in a product.
  const RuleBlock* leaves = nullptr;
  const std::uint32_t* bases = nullptr;
  const std::uint32_t* columns = nullptr;
  struct Product {
    const std::uint32_t* cells = nullptr;
    bool sparse = false;
  };
  Product products[kProductsMax];
  std::uint32_t product_count = 0;
  std::uint32_t shape_shift = 0;
  std::uint32_t shape_mask = 0xff;
  std::uint32_t first_id = 0;  // Of static rule 0, as the table's header says.
};

}  // namespace portcullis::classifier
