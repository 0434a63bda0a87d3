// SPDX-License-Identifier: MIT
#include "classifier/permits/permit_lines.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "classifier/verdict.h"

namespace portcullis::classifier {
namespace {

constexpr std::uint32_t kKeyEnd = 1U << 24U;
constexpr std::uint32_t kUnknown = 0xffff'ffffU;
constexpr std::size_t kWordsPerPortLine = sizeof(PortLine) / sizeof(std::uint32_t);

}  // namespace

PermitLines::PermitLines(const Outcomes& outcomes) : outcomes_(outcomes) {
  PORTCULLIS_CHECK(place_toggles() == kLineNothing);
  toggles_ = {0};
  PORTCULLIS_CHECK(place_toggles() == kLineEverything);
}

std::uint32_t PermitLines::line_of(std::uint32_t outcome) {
  if ((outcome & kReference) == 0) {
    return (outcome & Decision::kAllowed) != 0 ? kLineEverything : kLineNothing;
  }
  if ((outcome & kFork) != 0) {
    return kLineWalk;
  }
  const std::size_t index = outcome & kReferenceIndex;
  if (index >= line_of_port_line_.size()) {
    line_of_port_line_.resize(std::max(index + 1, line_of_port_line_.size() * 2), kUnknown);
  }
  std::uint32_t& line = line_of_port_line_[index];
  if (line == kUnknown) {
    toggles_.clear();
    collect(outcome, 0, kKeyEnd);
    line = place_toggles();
  }
  return line;
}

/// Toggles for the keys begin..end-1 of an outcome.
void PermitLines::collect(std::uint32_t outcome, std::uint32_t begin, std::uint32_t end) {
  if ((outcome & kReference) == 0) {
    toggle_to((outcome & Decision::kAllowed) != 0, begin);
    return;
  }
  const std::size_t line = (outcome & kReferenceIndex) * kWordsPerPortLine;
  for (std::size_t i = 0; i < PortLine::kWays && begin < end; ++i) {
    const std::uint32_t limit = std::min(outcomes_.lines().words()[line + i], end);
    if (limit > begin) {
      collect(outcomes_.lines().words()[line + PortLine::kWays + i], begin, limit);
      begin = limit;
    }
  }
}

void PermitLines::toggle_to(bool allowed, std::uint32_t at) {
  if ((toggles_.size() % 2 == 1) != allowed) {
    toggles_.push_back(at);
  }
}

std::uint32_t PermitLines::both(std::uint32_t a, std::uint32_t b) {
  if (const auto line = known_of_both(a, b)) {
    return *line;
  }
  const std::uint64_t pair = (std::uint64_t{std::min(a, b)} << 32U) | std::max(a, b);
  const auto [known, added] = line_of_pair_.emplace(pair, kLineNothing);
  if (added) {
    toggles_.clear();
    const auto first = toggles_of(a);
    const auto second = toggles_of(b);
    std::size_t i = 0;
    std::size_t k = 0;
    while (i < first.size() || k < second.size()) {
      const std::uint32_t at =
          std::min(i < first.size() ? first[i] : kKeyEnd, k < second.size() ? second[k] : kKeyEnd);
      i += i < first.size() && first[i] == at ? 1 : 0;
      k += k < second.size() && second[k] == at ? 1 : 0;
      toggle_to(i % 2 == 1 && k % 2 == 1, at);
    }
    known->second = place_toggles();
  }
  return known->second;
}

std::span<const std::uint32_t> PermitLines::toggles_of(std::uint32_t line) const {
  const auto toggles = std::span(lines_.words()).subspan(line * PermitLine::kToggles);
  const auto end = std::ranges::find(toggles, PortLine::kNoLimit);
  return toggles.first(static_cast<std::size_t>(end - toggles.begin()));
}

/// Fills up the last line, which is never full.
std::uint32_t PermitLines::place_toggles() {
  const std::size_t lines = toggles_.size() / PermitLine::kToggles + 1;
  toggles_.resize(lines * PermitLine::kToggles, PortLine::kNoLimit);
  return static_cast<std::uint32_t>(lines_.place(toggles_) / PermitLine::kToggles);
}

}  // namespace portcullis::classifier
