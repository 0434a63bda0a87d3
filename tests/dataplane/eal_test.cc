// SPDX-License-Identifier: MIT
// What EAL is told, without starting it.
#include "dataplane/dpdk/eal.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace portcullis::dataplane {
namespace {

bool has(const std::vector<std::string>& arguments, const std::string& argument) {
  return std::find(arguments.begin(), arguments.end(), argument) != arguments.end();
}

TEST(Eal, SuitsALaptopByDefault) {
  const std::vector<std::string> arguments = eal_arguments({}, 0, {1});
  EXPECT_TRUE(has(arguments, "--no-huge"));
  EXPECT_TRUE(has(arguments, "--no-pci"));
  EXPECT_TRUE(has(arguments, "--lcores=0@0,1@1"));
  EXPECT_TRUE(has(arguments, "--main-lcore=0"));
  EXPECT_TRUE(has(arguments, "--file-prefix=portcullis"));
  EXPECT_TRUE(has(arguments, "192"));
  EXPECT_FALSE(has(arguments, "--no-telemetry"));
}

TEST(Eal, GivesEachWorkerAnLcoreOfItsOwnEvenOnOneProcessor) {
  EXPECT_TRUE(has(eal_arguments({}, 0, {1, 1, 0}), "--lcores=0@0,1@1,2@1,3@0"));
}

TEST(Eal, UsesHugepagesPciAndNoTelemetryWhenTold) {
  const std::vector<std::string> arguments =
      eal_arguments({.hugepages = true, .pci = true, .telemetry = false}, 0, {1});
  EXPECT_FALSE(has(arguments, "--no-huge"));
  EXPECT_TRUE(has(arguments, "--single-file-segments"));
  EXPECT_FALSE(has(arguments, "--no-pci"));
  EXPECT_TRUE(has(arguments, "--no-telemetry"));
}

TEST(Eal, SharesTheOnlyProcessor) {
  EXPECT_EQ(place_workers({.worker_cpus = {1, 2}}, {5}).value(),
            (std::vector<std::uint32_t>{5, 5}));
}

TEST(Eal, NamesTheKeyOfAProcessorThatIsNotThere) {
  const auto placed = place_workers({.worker_cpus = {1, 7}}, {0, 1});
  ASSERT_FALSE(placed.has_value());
  EXPECT_EQ(placed.error().message,
            "eal.worker_cpus names processor 7, which this process may not use; it may use 0, 1");
}

}  // namespace
}  // namespace portcullis::dataplane
