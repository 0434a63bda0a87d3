// SPDX-License-Identifier: MIT
// NDR and PDR are what a forwarder of known limits has, whatever disturbs a trial now and then; and
// percentiles are those of the values.
#include "bench/throughput/search.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bench/throughput/histogram.h"

namespace portcullis::bench {
namespace {

constexpr double kLoadMax = 40e6;
constexpr double kPrecision = 0.01;

/// Loses what is beyond `limit`, and one packet in a thousand beyond nine tenths of it.
Trial trial_of(double limit, double load) {
  constexpr double kSent = 1e6;
  const double share = load > limit ? 1 - limit / load : load > 0.9 * limit ? 1e-3 : 0;
  return {.sent = static_cast<std::uint64_t>(kSent),
          .lost = static_cast<std::uint64_t>(std::ceil(share * kSent)),
          .offered = load};
}

class Limits : public testing::TestWithParam<double> {};

TEST_P(Limits, AreFoundToThePrecisionFromAnyHint) {
  const double limit = GetParam();
  for (const double hint : {0.0, limit * 0.3, limit, limit * 1.7, kLoadMax}) {
    LoadSearch search({.load_max = kLoadMax, .precision = kPrecision},
                      [&](double load) { return trial_of(limit, load); });
    const Found ndr = search.find(0, hint).value();
    EXPECT_FALSE(ndr.limited);
    EXPECT_LE(ndr.load, 0.9 * limit) << "hint " << hint;
    EXPECT_GE(ndr.load, 0.9 * limit * (1 - kPrecision)) << "hint " << hint;
    const Found pdr = search.find(0.005, ndr.load).value();
    EXPECT_LE(pdr.load, limit / (1 - 0.005));
    EXPECT_GE(pdr.load, limit / (1 - 0.005) * (1 - kPrecision));
    EXPECT_LE(search.trials(), 100U);
  }
}

INSTANTIATE_TEST_SUITE_P(OfAllSizes, Limits, testing::Values(1e5, 3e6, 14.88e6, 39e6));

TEST(LoadSearch, SaysThatTheGeneratorIsTheLimit) {
  LoadSearch search({.load_max = kLoadMax}, [](double load) { return trial_of(1e9, load); });
  const Found found = search.find(0, 1e6).value();
  EXPECT_TRUE(found.limited);
  EXPECT_EQ(found.load, kLoadMax);
}

TEST(LoadSearch, FindsNothingWhereTheLeastLoadIsLost) {
  LoadSearch search({.load_max = kLoadMax},
                    [](double load) { return Trial{.sent = 10, .lost = 10, .offered = load}; });
  EXPECT_EQ(search.find(0, kLoadMax).value().load, 0);
}

TEST(LoadSearch, DoesNotCountWhatTheGeneratorCouldNotOffer) {
  LoadSearch search({.load_max = kLoadMax, .precision = kPrecision},
                    [](double load) { return Trial{.sent = 10, .offered = std::min(load, 5e6)}; });
  const Found found = search.find(0, 5e6).value();
  EXPECT_NEAR(found.load, 5e6, 5e6 * 0.03);
  EXPECT_TRUE(found.limited);
}

TEST(LoadSearch, IsNotMisledByATrialInTenThatLoses) {
  constexpr double kLimit = 10e6;
  std::mt19937 random(3);
  LoadSearch search({.load_max = kLoadMax, .precision = kPrecision, .trials_max = 5},
                    [&](double load) {
                      Trial trial = trial_of(kLimit, load);
                      trial.lost += random() % 10 == 0 ? 5 : 0;
                      return trial;
                    });
  EXPECT_NEAR(search.find(0, 12e6).value().load, 0.9 * kLimit, kPrecision * kLimit);
}

TEST(LoadSearch, MakesDisturbedTrialsAgainSoManyTimes) {
  // Each first trial of two is disturbed, and loses.
  int made = 0;
  const auto trial = [&made](double load) {
    Trial one = trial_of(10e6, load);
    one.disturbed = ++made % 2 == 1;
    one.lost += one.disturbed ? 100 : 0;
    return one;
  };
  LoadSearch patient({.load_max = kLoadMax, .precision = kPrecision, .disturbed_max = 1000}, trial);
  EXPECT_NEAR(patient.find(0, 12e6).value().load, 9e6, 9e6 * kPrecision);
  EXPECT_GT(patient.disturbed(), 5U);

  LoadSearch strict({.load_max = kLoadMax, .disturbed_max = 4}, [](double load) {
    return Trial{.sent = 10, .lost = 1, .offered = load, .disturbed = true};
  });
  EXPECT_EQ(strict.find(0, 12e6).value().load, 0);
  EXPECT_EQ(strict.disturbed(), 4U);
}

TEST(LoadSearch, EndsWithTheErrorOfATrial) {
  LoadSearch search({.load_max = kLoadMax},
                    [](double) -> Result<Trial> { return fail("unplugged"); });
  const auto found = search.find(0, 1e6);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().message, "unplugged");
}

TEST(Histogram, HasThePercentilesOfItsValuesToOnePartIn32) {
  std::mt19937_64 random(11);
  std::vector<std::uint64_t> values;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(random() >> (random() % 60));
    histogram.add(values.back());
  }
  std::ranges::sort(values);
  for (const double share : {0.001, 0.5, 0.9, 0.99, 0.999}) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * 20'000)) - 1;
    const std::uint64_t truth = values[rank];
    EXPECT_GE(histogram.percentile(share), truth) << share;
    EXPECT_LE(histogram.percentile(share) - truth, truth / 32) << share;
  }
  EXPECT_EQ(histogram.percentile(1), values.back());
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(Histogram, CountsAValueAsOftenAsItCame) {
  Histogram histogram;
  EXPECT_EQ(histogram.percentile(0.5), 0U);
  histogram.add(7, 99);
  histogram.add(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(histogram.count(), 100U);
  EXPECT_EQ(histogram.percentile(0.99), 7U);
  EXPECT_EQ(histogram.percentile(0.999), std::numeric_limits<std::uint64_t>::max());
}

}  // namespace
}  // namespace portcullis::bench
