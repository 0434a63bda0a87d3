// SPDX-License-Identifier: MIT
#include "classifier/permits/row_folder.h"

#include <array>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

/// Two sources, rows 2 and 3 of egress, that may open a port each; two destinations, rows 2 and 3
/// of ingress, that are open on a port to everyone, and wholly to column 1.
class RowFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const std::uint16_t port : std::array<std::uint16_t, 3>{80, 81, 82}) {
      cluster_.allow_ingress(cluster_.everything(),
                             cluster_.everything(),
                             cluster_.ports({tcp_port(port), tcp_port(443)}));
    }
    outcomes_ = std::make_unique<Outcomes>(cluster_.rules);
    lines_ = std::make_unique<PermitLines>(*outcomes_);
    const std::uint32_t a = line_of(0);
    const std::uint32_t b = line_of(1);
    const std::uint32_t c = line_of(2);
    PermitSide& egress = sides_.of(Direction::egress);
    egress.defaults = {kLineEverything, kLineNothing, kLineNothing, kLineNothing};
    egress.deviations = {{}, {}, {{.at = 0, .line = a}}, {{.at = 0, .line = b}}};
    egress.classes_of_column = {{0, 1}};
    PermitSide& ingress = sides_.of(Direction::ingress);
    ingress.defaults = {kLineEverything, kLineNothing, b, c};
    ingress.by_column = {{}, {{.at = 3, .line = kLineEverything}}};
    ingress.classes_of_row = {{}, {}, {0}, {1}};
    classes_.classes = {{.egress_row = 2, .ingress_row = 2},
                        {.egress_row = 3, .ingress_row = 3, .ingress_column = 1}};
  }
  std::uint32_t line_of(std::uint32_t rule) {
    const std::vector<std::uint32_t> rules{rule};
    return lines_->line_of(outcomes_->of(rules, false));
  }
  void fold(RowFolder& folder, std::size_t source, RowDrafts& drafts) {
    folder.fold({.sides = sides_, .classes = classes_}, classes_.classes[source], drafts);
  }

  Cluster cluster_;
  std::unique_ptr<Outcomes> outcomes_;
  std::unique_ptr<PermitLines> lines_;
  PermitSides sides_;
  Classes classes_{.regions = Regions({})};
};

TEST_F(RowFolderTest, KeepsWhatBothDirectionsAllow) {
  RowFolder folder;
  RowDrafts drafts;
  fold(folder, 0, drafts);
  fold(folder, 1, drafts);
  drafts.settle(*lines_);
  ASSERT_EQ(drafts.count(), 2U);
  EXPECT_EQ(drafts.pairs(), 4U);
  EXPECT_EQ(drafts.cells_of(0),
            (PermitCells{permit_cell(0, lines_->both(line_of(0), line_of(1))),
                         permit_cell(1, lines_->both(line_of(0), line_of(2)))}));
  EXPECT_EQ(drafts.cells_of(1),
            (PermitCells{permit_cell(0, line_of(1)), permit_cell(1, line_of(1))}))
      << "destination 1 lets the column of source 1 in wholly";
}

TEST_F(RowFolderTest, LeavesNewLinesToWhoeverSettlesFirst) {
  RowFolder first;
  RowFolder second;
  RowDrafts of_first;
  RowDrafts of_second;
  const std::size_t before = lines_->count();
  fold(second, 0, of_second);
  fold(first, 0, of_first);
  EXPECT_EQ(lines_->count(), before);
  of_first.settle(*lines_);
  const std::size_t after = lines_->count();
  of_second.settle(*lines_);
  EXPECT_GT(after, before);
  EXPECT_EQ(lines_->count(), after);
  EXPECT_EQ(of_first.cells_of(0), of_second.cells_of(0));
}

TEST_F(RowFolderTest, DeniesTransitWhereThatIsTheMode) {
  classes_.classes = {{.egress_row = kRowOutside, .ingress_row = kRowOutside}};
  sides_.of(Direction::egress).deviations[kRowOutside] = {{.at = 0, .line = kLineEverything}};
  sides_.of(Direction::egress).classes_of_column = {{0}};
  for (const bool transit_denied : {false, true}) {
    RowFolder folder;
    RowDrafts drafts;
    folder.fold({.sides = sides_, .classes = classes_, .transit_denied = transit_denied},
                classes_.classes[0],
                drafts);
    drafts.settle(*lines_);
    EXPECT_EQ(drafts.cells_of(0),
              transit_denied ? PermitCells{permit_cell(0, kLineEverything)} : PermitCells{});
  }
}

}  // namespace
}  // namespace portcullis::classifier
