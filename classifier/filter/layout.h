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
  src_limits,       // u32[nodes][16]: of the search for an IPv4 source's point; see LimitSearch.
  dst_limits,       // The same of destinations,
  src_port_limits,  // of source ports,
  dst_port_limits,  // and of destination ports, or ICMP types and codes.
  src_nodes_v6,     // u32[n][256]: IPv6 addresses' points by 8 bits a level; node 0 is the root.
  dst_nodes_v6,     //
  protocols,        // u32[256]: what a protocol adds to the index into port_rows.
  flags,            // u32[256]: what TCP flags add to it. The stretch of the destination port, too.
  port_rows,        // u32[n]: rows of port_points, or port points where source ports do not matter.
  port_points,      // u16[n]: by row and stretch of the source port.
  lists,            // RuleList[n]: rules in order that hold a pair of points; list 0 is empty.
  shapes,           // u8 or u16 [n]: by port point, the number of the list's rule; 0: none.
  outcomes,         // u32[n]: by list and number.
  tree,             // TreeNode[n]: of the rules without a product; node 0 is the root.
  leaves,           // RuleBlock[n].
  bases,            // u32[source points][2 or 4]: by product, where in cells a row begins.
  columns,          // u32[destination points][2 or 4].
  cells,            // Cells of all products, one after another.
};
inline constexpr std::size_t kFilterPartCount = 18;

/// Outcome of a rule: | rule 30 | action 2 |; smaller is earlier. None: no rule.
inline constexpr unsigned kOutcomeRuleShift = 2;
inline constexpr std::uint32_t kOutcomeAction = 3;  // As Action.
inline constexpr std::uint32_t kNoOutcome = 0xffff'ffffU;

/// A search tree over ascending limits, level by level, 16 limits a node, but up to 32 in the root:
/// below node n, child c of the next level is node 17n + c, where c counts the limits below the
/// value. After the last level that number is the stretch that the value lies in. A limit is the
/// last value of a stretch, less 2^31, so that a signed comparison orders them; where there is no
/// stretch it is the last of all.
struct LimitSearch {
  static constexpr std::uint32_t kLimits = 16;
  static constexpr std::uint32_t kRootVectorsMax = 2;
  static constexpr std::uint32_t kLevelsMax = 8;
  static constexpr std::uint32_t kBias = 1U << 31U;
  std::uint32_t depth = 0;                // Levels; 0: there is one stretch.
  std::uint32_t root_vectors = 0;         // The root has 16 times as many limits.
  std::uint32_t levels[kLevelsMax] = {};  // Where each level begins, in nodes of 16.
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
  std::uint32_t products = 0;
  std::uint32_t product_shift = 0;  // Bases and columns of a point: 1 << product_shift words.
  std::uint32_t shape_shift = 0;    // 0: shapes are bytes; 1: 16 bits.
  std::uint32_t flags_matter = 0;
  std::uint32_t src_ports_matter = 0;
  std::uint32_t has_tree = 0;
  LimitSearch src_search;
  LimitSearch dst_search;
  LimitSearch src_port_search;
  LimitSearch dst_port_search;
  std::array<std::uint32_t, kProductsMax> cells{};   // Where each product's cells begin, in words.
  std::array<std::uint32_t, kProductsMax> sparse{};  // 1: SparseCells; 0: lists.
  std::array<Place, kFilterPartCount> parts{};
};

/// The filter of one table by its addresses. Valid as long as the table is.
struct FilterView {
  struct Search {
    const std::uint32_t* limits = nullptr;
    LimitSearch levels;
  };
  Search src;
  Search dst;
  Search src_port;
  Search dst_port;
  const std::uint32_t* src_nodes_v6 = nullptr;
  const std::uint32_t* dst_nodes_v6 = nullptr;
  const std::uint32_t* protocols = nullptr;
  const std::uint32_t* flags = nullptr;  // Null: TCP flags do not matter.
  const std::uint32_t* port_rows = nullptr;
  const std::uint8_t* port_points = nullptr;  // Null: source ports do not matter.
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
  std::uint32_t product_shift = 0;
  std::uint32_t shape_shift = 0;
  std::uint32_t shape_mask = 0xff;
  std::uint32_t first_id = 0;  // Of static rule 0, as the table's header says.
};

}  // namespace portcullis::classifier
