// SPDX-License-Identifier: MIT
// RowFolder: folds rows of sources as far as that goes without numbering a permit line. Several may
// be at it beside each other; what they leave open is settled in order, so that lines are numbered
// as one alone would.
// Thread: one; sides and classes may be read by others meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "classifier/compiler/classes.h"
#include "classifier/permits/permit_lines.h"
#include "classifier/permits/permit_sides.h"
#include "classifier/permits/shared_rows.h"

namespace portcullis::classifier {

/// Rows of sources whose lines may be open yet.
class RowDrafts {
 public:
  void clear();
  [[nodiscard]] std::size_t count() const { return ends_.size(); }
  /// Pairs of classes that were looked at for all of them.
  [[nodiscard]] std::size_t pairs() const { return pairs_; }

  /// Numbers the lines that are open, those first that a source alone would ask for first. Before
  /// cells_of().
  void settle(PermitLines& lines);
  [[nodiscard]] PermitCells cells_of(std::size_t row) const;

 private:
  friend class RowFolder;
  /// From here on a line is the index of one that is open.
  static constexpr std::uint32_t kOpen = 0x8000'0000U;

  /// A cell if `line` is not what it would be without.
  struct Draft {
    std::uint32_t destination = 0;
    std::uint32_t line = 0;
    std::uint32_t usual = 0;
  };

  std::uint32_t line_of_both(std::uint32_t a, std::uint32_t b);
  [[nodiscard]] std::uint32_t settled(std::uint32_t line) const;

  std::vector<Draft> drafts_;  // Of all rows, one after another.
  std::vector<std::size_t> ends_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> open_;  // What both lines allow.
  std::unordered_map<std::uint64_t, std::uint32_t> open_at_;   // By pair.
  std::vector<std::uint32_t> lines_;                           // Of those that were open.
  std::size_t pairs_ = 0;
};

class RowFolder {
 public:
  struct Ground {
    const PermitSides& sides;
    const Classes& classes;
    bool transit_denied = false;
  };
  /// Adds the row of a source to `drafts`.
  void fold(const Ground& ground, const ClassRoles& source, RowDrafts& drafts);

 private:
  static constexpr std::uint32_t kNoLine = 0xffff'fffeU;
  /// Beside each other: they are looked at together, anywhere in memory.
  struct Lines {
    std::uint32_t egress = kNoLine;
    std::uint32_t ingress = kNoLine;
  };

  Lines& deviate(std::uint32_t destination);
  void sort_deviating();

  // Room for one row.
  std::vector<Lines> lines_;  // By destination, where it deviates.
  std::vector<std::uint32_t> deviating_;
  std::vector<std::uint64_t> deviating_bits_;
};

}  // namespace portcullis::classifier
