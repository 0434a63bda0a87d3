// SPDX-License-Identifier: MIT
#include "classifier/permits/shared_rows.h"

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

/// Twenty destinations that every row of a group has, and one of its own.
std::vector<PermitCells> group(std::uint32_t first, std::uint32_t line, std::size_t rows) {
  std::vector<PermitCells> group(rows);
  for (std::uint32_t i = 0; i < rows; ++i) {
    for (std::uint32_t k = 0; k < 20; ++k) {
      group[i].push_back(permit_cell(first + k * 3, line));
    }
    group[i].push_back(permit_cell(first + i * 3 + 1, line));
    std::ranges::sort(group[i]);
  }
  return group;
}

SharedRows shared_of(const std::vector<PermitCells>& rows) {
  std::vector<const PermitCells*> pointers;
  std::ranges::transform(rows, std::back_inserter(pointers), [](const auto& row) { return &row; });
  SharedRows shared;
  shared.find(pointers, alone());
  return shared;
}

/// What a lookup finds: the own cells, then the shared ones.
PermitCells together(const PermitCells& own, const PermitCells& shared) {
  std::map<std::uint32_t, std::uint32_t> cells;
  for (const PermitCells* row : {&shared, &own}) {
    for (const std::uint64_t cell : *row) {
      cells[destination_of(cell)] = line_of(cell);
    }
  }
  PermitCells all;
  for (const auto& [destination, line] : cells) {
    if (line != kLineDefault) {
      all.push_back(permit_cell(destination, line));
    }
  }
  return all;
}

TEST(SharedRows, LeaveEachRowWhatItsGroupHasNotInCommon) {
  std::vector<PermitCells> rows = group(100, 7, 12);
  std::ranges::move(group(4000, 9, 12), std::back_inserter(rows));
  const SharedRows shared = shared_of(rows);
  for (const PermitCells& row : rows) {
    const PermitCells* best = shared.best(row);
    ASSERT_NE(best, nullptr);
    EXPECT_EQ(best->size(), 20U);
    EXPECT_EQ(beside(row, *best).size(), 1U);
  }
}

TEST(SharedRows, SaveNothingForRowsThatHaveLittleInCommon) {
  const SharedRows shared = shared_of(group(100, 7, 12));
  EXPECT_EQ(shared.best({}), nullptr);
  EXPECT_EQ(shared.best({permit_cell(100, 7)}), nullptr);
  EXPECT_EQ(shared.best({permit_cell(100, 8), permit_cell(103, 8)}), nullptr);
}

TEST(SharedRows, KeepWhatDiffersAndVetoWhatIsMissing) {
  const PermitCells shared{permit_cell(1, 5), permit_cell(4, 5), permit_cell(9, 5)};
  const PermitCells row{permit_cell(0, 6), permit_cell(4, 7), permit_cell(9, 5)};
  EXPECT_EQ(beside(row, shared),
            (PermitCells{permit_cell(0, 6), permit_cell(1, kLineDefault), permit_cell(4, 7)}));
  EXPECT_EQ(beside({}, shared).size(), 3U);
  EXPECT_EQ(beside(row, {}), row);
}

TEST(SharedRows, AreTheRowTogetherWithItsOwnCells) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<PermitCells> rows;
    for (int i = 0; i < 20; ++i) {
      std::map<std::uint32_t, std::uint32_t> cells;
      for (int k = 0; k < 12; ++k) {
        cells.emplace(random() % 16, 2 + random() % 2);
      }
      rows.emplace_back();
      for (const auto& [destination, line] : cells) {
        rows.back().push_back(permit_cell(destination, line));
      }
    }
    const SharedRows shared = shared_of(rows);
    for (const PermitCells& row : rows) {
      if (const PermitCells* best = shared.best(row); best != nullptr) {
        const PermitCells own = beside(row, *best);
        EXPECT_LT(own.size(), row.size());
        EXPECT_EQ(together(own, *best), row);
      }
    }
  }
}

}  // namespace
}  // namespace portcullis::classifier
