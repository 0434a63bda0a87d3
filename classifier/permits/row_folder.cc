// SPDX-License-Identifier: MIT
#include "classifier/permits/row_folder.h"

#include <algorithm>
#include <bit>

namespace portcullis::classifier {

void RowDrafts::clear() {
  drafts_.clear();
  ends_.clear();
  open_.clear();
  open_at_.clear();
  pairs_ = 0;
}

std::uint32_t RowDrafts::line_of_both(std::uint32_t a, std::uint32_t b) {
  if (const auto line = PermitLines::known_of_both(a, b)) {
    return *line;
  }
  const std::uint64_t pair = (std::uint64_t{a} << 32U) | b;
  const auto [known, added] =
      open_at_.emplace(pair, kOpen | static_cast<std::uint32_t>(open_.size()));
  if (added) {
    open_.emplace_back(a, b);
  }
  return known->second;
}

void RowDrafts::settle(PermitLines& lines) {
  lines_.clear();
  for (const auto& [a, b] : open_) {
    lines_.push_back(lines.both(a, b));
  }
}

std::uint32_t RowDrafts::settled(std::uint32_t line) const {
  const bool open = line >= kOpen && line != kLineWalk;
  return open ? lines_[line - kOpen] : line;
}

PermitCells RowDrafts::cells_of(std::size_t row) const {
  const std::size_t begin = row == 0 ? 0 : ends_[row - 1];
  PermitCells cells;
  cells.reserve(ends_[row] - begin);
  for (const auto& [destination, line, usual] :
       std::span(drafts_).subspan(begin, ends_[row] - begin)) {
    const std::uint32_t found = settled(line);
    if (found == kLineWalk || found != settled(usual)) {
      cells.push_back(permit_cell(destination, found));
    }
  }
  cells.shrink_to_fit();
  return cells;
}

void RowFolder::fold(const Ground& ground, const ClassRoles& source, RowDrafts& drafts) {
  const auto& [sides, classes, transit_denied] = ground;
  const PermitSide& egress = sides.of(Direction::egress);
  const PermitSide& ingress = sides.of(Direction::ingress);
  lines_.resize(classes.classes.size());
  deviating_.clear();
  for (const Deviation& deviation : egress.deviations[source.egress_row]) {
    for (const std::uint32_t destination : list_at(egress.classes_of_column, deviation.at)) {
      deviate(destination).egress = deviation.line;
    }
  }
  for (const Deviation& deviation : list_at(ingress.by_column, source.ingress_column)) {
    for (const std::uint32_t destination : list_at(ingress.classes_of_row, deviation.at)) {
      deviate(destination).ingress = deviation.line;
    }
  }
  sort_deviating();
  const std::uint32_t usual_out = egress.defaults[source.egress_row];
  for (const std::uint32_t destination : deviating_) {
    const std::uint32_t ingress_row = classes.classes[destination].ingress_row;
    const std::uint32_t usual_in = ingress.defaults[ingress_row];
    const auto [out, in] = std::exchange(lines_[destination], {});
    const std::uint32_t line =
        drafts.line_of_both(out == kNoLine ? usual_out : out, in == kNoLine ? usual_in : in);
    std::uint32_t usual = kLineNothing;
    const bool transit = source.egress_row == kRowOutside && ingress_row == kRowOutside;
    if (line != kLineWalk && !(transit_denied && transit)) {
      usual = drafts.line_of_both(usual_out, usual_in);
    }
    if (line == kLineWalk || line != usual) {
      drafts.drafts_.push_back({.destination = destination, .line = line, .usual = usual});
    }
  }
  drafts.pairs_ += deviating_.size();
  drafts.ends_.push_back(drafts.drafts_.size());
}

RowFolder::Lines& RowFolder::deviate(std::uint32_t destination) {
  Lines& lines = lines_[destination];
  if (lines.egress == kNoLine && lines.ingress == kNoLine) {
    deviating_.push_back(destination);
  }
  return lines;
}

/// By way of a bit for each class, where they are many.
void RowFolder::sort_deviating() {
  constexpr std::size_t kFew = 64;
  if (deviating_.size() < kFew) {
    std::ranges::sort(deviating_);
    return;
  }
  constexpr std::size_t kWordBits = 64;
  deviating_bits_.resize(lines_.size() / kWordBits + 1);
  for (const std::uint32_t destination : deviating_) {
    deviating_bits_[destination / kWordBits] |= std::uint64_t{1} << destination % kWordBits;
  }
  deviating_.clear();
  for (std::size_t word = 0; word < deviating_bits_.size(); ++word) {
    for (std::uint64_t bits = std::exchange(deviating_bits_[word], 0); bits != 0;
         bits &= bits - 1) {
      const auto bit = static_cast<std::size_t>(std::countr_zero(bits));
      deviating_.push_back(static_cast<std::uint32_t>(word * kWordBits + bit));
    }
  }
}

}  // namespace portcullis::classifier
