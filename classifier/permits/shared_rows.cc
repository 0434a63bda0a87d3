// SPDX-License-Identifier: MIT
#include "classifier/permits/shared_rows.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace portcullis::classifier {
namespace {

std::uint64_t least_hash(const PermitCells& cells, std::size_t which) {
  constexpr std::array<std::uint64_t, 3> kFactors{
      0x9e37'79b9'7f4a'7c15ULL, 0xff51'afd7'ed55'8ccdULL, 0xc4ce'b9fe'1a85'ec53ULL};
  std::uint64_t least = ~std::uint64_t{0};
  for (const std::uint64_t cell : cells) {
    std::uint64_t hash = cell * kFactors[which];
    hash = (hash ^ (hash >> 32U)) * kFactors[which];
    least = std::min(least, hash ^ (hash >> 29U));
  }
  return least;
}

/// Calls visit(cell) for what beside() is made of.
template <typename Visit>
void visit_beside(const PermitCells& cells, const PermitCells& shared, Visit visit) {
  auto own = cells.begin();
  for (const std::uint64_t common : shared) {
    for (; own != cells.end() && destination_of(*own) < destination_of(common); ++own) {
      visit(*own);
    }
    if (own == cells.end() || destination_of(*own) != destination_of(common)) {
      visit(permit_cell(destination_of(common), kLineDefault));
      continue;
    }
    if (*own != common) {
      visit(*own);
    }
    ++own;
  }
  std::for_each(own, cells.end(), visit);
}

std::size_t count_beside(const PermitCells& cells, const PermitCells& shared) {
  std::size_t count = 0;
  visit_beside(cells, shared, [&count](std::uint64_t) { ++count; });
  return count;
}

/// The cells that more than half of these rows have.
PermitCells commonest(std::span<const PermitCells* const> rows) {
  PermitCells all;
  for (const PermitCells* row : rows) {
    all.insert(all.end(), row->begin(), row->end());
  }
  std::ranges::sort(all);
  PermitCells common;
  for (auto cell = all.cbegin(); cell != all.cend();) {
    const auto end = std::find_if(cell, all.cend(), [&](std::uint64_t at) { return at != *cell; });
    if (static_cast<std::size_t>(end - cell) * 2 > rows.size()) {
      common.push_back(*cell);
    }
    cell = end;
  }
  return common;
}

/// What a group has in common, if keeping it saves more cells than it takes; else nothing.
PermitCells common_of(std::span<const PermitCells* const> group) {
  PermitCells common = commonest(group);
  std::size_t saved = 0;
  for (const PermitCells* row : group) {
    saved += row->size() - std::min(row->size(), count_beside(*row, common));
  }
  return saved > common.size() ? std::move(common) : PermitCells{};
}

}  // namespace

std::vector<std::uint32_t> destinations_of(const PermitCells& cells) {
  std::vector<std::uint32_t> destinations;
  destinations.reserve(cells.size());
  std::ranges::transform(cells, std::back_inserter(destinations), destination_of);
  return destinations;
}

PermitCells beside(const PermitCells& cells, const PermitCells& shared) {
  PermitCells own;
  visit_beside(cells, shared, [&own](std::uint64_t cell) { own.push_back(cell); });
  return own;
}

void SharedRows::find(std::span<const PermitCells* const> rows, Crew& crew) {
  std::vector<const PermitCells*> left(rows.begin(), rows.end());
  std::vector<std::uint8_t> settled(rows.size());  // No bits: threads write neighbours.
  for (std::size_t which = 0; which < kHashes && !crew.stopped(); ++which) {
    // Those whose least cell was no common one may still belong to a row that there is.
    crew.each_range(left.size(), [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) {
        const PermitCells* shared = best(*left[i]);
        const bool is_settled =
            left[i]->empty() ||
            (shared != nullptr && count_beside(*left[i], *shared) * 2 <= left[i]->size());
        settled[i] = is_settled ? 1 : 0;
      }
    });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (settled[i] == 0) {
        left[kept++] = left[i];
      }
    }
    left.resize(kept);
    find_by(which, left, crew);
  }
}

/// Looks at groups of rows that have their least hash in common.
void SharedRows::find_by(std::size_t which, std::span<const PermitCells* const> rows, Crew& crew) {
  std::vector<std::pair<std::uint64_t, std::size_t>> order(rows.size());
  crew.each_range(rows.size(), [&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) {
      order[i] = {least_hash(*rows[i], which), i};
    }
  });
  std::ranges::sort(order);
  std::vector<std::vector<const PermitCells*>> groups;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || order[i - 1].first != order[i].first) {
      groups.emplace_back();
    }
    groups.back().push_back(rows[order[i].second]);
  }
  std::erase_if(groups, [](const auto& group) { return group.size() < 2; });
  std::vector<PermitCells> found(groups.size());
  crew.each(groups.size(),
            [&](unsigned /*worker*/, std::size_t i) { found[i] = common_of(groups[i]); });
  for (PermitCells& common : found) {
    if (!common.empty()) {
      add(std::move(common));
    }
  }
}

void SharedRows::add(PermitCells cells) {
  const auto number = static_cast<std::uint32_t>(rows_.size());
  for (std::size_t which = 0; which < kHashes; ++which) {
    by_least_hash_[which].emplace(least_hash(cells, which), number);
  }
  rows_.push_back(std::move(cells));
}

const PermitCells* SharedRows::best(const PermitCells& cells) const {
  const PermitCells* best = nullptr;
  std::size_t fewest = cells.size();
  for (std::size_t which = 0; which < kHashes && !rows_.empty(); ++which) {
    const auto found = by_least_hash_[which].find(least_hash(cells, which));
    if (found == by_least_hash_[which].end() || best == &rows_[found->second]) {
      continue;
    }
    const std::size_t count = count_beside(cells, rows_[found->second]);
    if (count < fewest) {
      best = &rows_[found->second];
      fewest = count;
    }
  }
  return best;
}

}  // namespace portcullis::classifier
