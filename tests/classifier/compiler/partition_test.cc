// SPDX-License-Identifier: MIT
#include "classifier/compiler/partition.h"

#include <gtest/gtest.h>

namespace portcullis::classifier {
namespace {

TEST(Partition, PartsNamedItemsFromTheRestOfTheirGroup) {
  Partition partition({0, 0, 0, 1}, 2);
  partition.begin_set();
  partition.part(0);
  partition.part(2);
  partition.part(3);
  EXPECT_EQ(partition.group(0), partition.group(2));
  EXPECT_NE(partition.group(0), partition.group(1));
  EXPECT_NE(partition.group(0), partition.group(3));
}

TEST(Partition, KeepsItemsTogetherThatEverySetNamesTogether) {
  Partition partition({0, 0, 0}, 1);
  for (int set = 0; set < 3; ++set) {
    partition.begin_set();
    partition.part(0);
    partition.part(1);
  }
  EXPECT_EQ(partition.group(0), partition.group(1));
  EXPECT_NE(partition.group(0), partition.group(2));
}

}  // namespace
}  // namespace portcullis::classifier
