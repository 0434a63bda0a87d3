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

void SharedRows::find(std::span<const PermitCells* const> rows) {
  std::vector<const PermitCells*> left(rows.begin(), rows.end());
  for (std::size_t which = 0; which < kHashes; ++which) {
    // Those whose least cell was no common one may still belong to a row that there is.
    std::erase_if(left, [&](const PermitCells* row) {
      const PermitCells* shared = best(*row);
      return shared != nullptr && count_beside(*row, *shared) * 2 <= row->size();
    });
    std::vector<std::pair<std::uint64_t, std::size_t>> order;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (!left[i]->empty()) {
        order.emplace_back(least_hash(*left[i], which), i);
      }
    }
    std::ranges::sort(order);
    std::vector<const PermitCells*> group;
    for (std::size_t i = 0; i < order.size(); ++i) {
      group.push_back(left[order[i].second]);
      if (i + 1 == order.size() || order[i + 1].first != order[i].first) {
        find_in(std::exchange(group, {}));
      }
    }
  }
}

/// Keeps what a group has in common if that saves more cells than it takes.
void SharedRows::find_in(std::span<const PermitCells* const> group) {
  if (group.size() < 2) {
    return;
  }
  PermitCells common = commonest(group);
  std::size_t saved = 0;
  for (const PermitCells* row : group) {
    saved += row->size() - std::min(row->size(), count_beside(*row, common));
  }
  if (saved > common.size()) {
    add(std::move(common));
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
