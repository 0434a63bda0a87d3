// SPDX-License-Identifier: MIT
#include "classifier/crew.h"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace portcullis::classifier {
namespace {

constexpr std::size_t kPieces = 1000;

TEST(Crew, GivesSmallWorkOneThreadAndAsManyAsWereAskedForOtherwise) {
  EXPECT_EQ(Crew({}, 10).threads(), 1U);
  EXPECT_EQ(Crew({.threads = 5}, 10).threads(), 5U);
  EXPECT_EQ(Crew({.threads = 1000}, 10).threads(), 64U);
}

TEST(Crew, DoesEveryPieceOnce) {
  for (const unsigned threads : {1U, 2U, 5U}) {
    Crew crew({.threads = threads}, 0);
    std::vector<std::atomic<int>> done(kPieces);
    crew.each(kPieces, [&](unsigned worker, std::size_t i) {
      EXPECT_LT(worker, threads);
      ++done[i];
    });
    for (const auto& times : done) {
      EXPECT_EQ(times.load(), 1);
    }
    std::atomic<std::size_t> sum{0};
    crew.each_range(10'000, [&](std::size_t first, std::size_t last) { sum += last - first; });
    EXPECT_EQ(sum.load(), 10'000U);
    crew.each(0, [](unsigned, std::size_t) { FAIL(); });
  }
}

TEST(Crew, TakesInOrderWhatWasMadeInAny) {
  for (const unsigned threads : {1U, 2U, 5U}) {
    Crew crew({.threads = threads}, 0);
    std::vector<std::size_t> made(crew.window());
    std::vector<std::size_t> taken;
    const auto make = [&](unsigned, std::size_t i) {
      if (i % 7 == 0) {
        std::this_thread::yield();
      }
      made[i % made.size()] = i * i;
    };
    crew.in_order(kPieces, make, [&](std::size_t i) {
      EXPECT_EQ(made[i % made.size()], i * i);
      taken.push_back(i);
      return true;
    });
    ASSERT_EQ(taken.size(), kPieces);
    for (std::size_t i = 0; i < kPieces; ++i) {
      EXPECT_EQ(taken[i], i);
    }
  }
}

TEST(Crew, TakesNothingMoreWhenTheTakerEndsIt) {
  for (const unsigned threads : {1U, 5U}) {
    Crew crew({.threads = threads}, 0);
    std::size_t taken = 0;
    crew.in_order(
        kPieces, [](unsigned, std::size_t) {}, [&](std::size_t) { return ++taken < 10; });
    EXPECT_EQ(taken, 10U);
  }
}

TEST(Crew, LeavesOutPiecesOnceStopped) {
  for (const unsigned threads : {1U, 5U}) {
    std::stop_source source;
    Crew crew({.threads = threads, .stop = source.get_token()}, 0);
    std::atomic<std::size_t> done{0};
    crew.each(kPieces, [&](unsigned, std::size_t) {
      if (++done == 10) {
        source.request_stop();
      }
    });
    EXPECT_TRUE(crew.stopped());
    EXPECT_LT(done.load(), 10U + threads);
    crew.in_order(
        kPieces, [](unsigned, std::size_t) { FAIL(); }, [](std::size_t) { return true; });
  }
}

TEST(Crew, ThrowsInTheCallerWhatAPieceThrew) {
  for (const unsigned threads : {1U, 5U}) {
    Crew crew({.threads = threads}, 0);
    const auto make = [](unsigned, std::size_t i) {
      if (i == 20) {
        throw std::runtime_error("no memory");
      }
    };
    EXPECT_THROW(crew.each(kPieces, make), std::runtime_error);
    std::size_t taken = 0;
    const auto take = [&](std::size_t) { return ++taken > 0; };
    EXPECT_THROW(crew.in_order(kPieces, make, take), std::runtime_error);
    EXPECT_LE(taken, 20U);
    const auto aside = crew.beside([] { throw std::runtime_error("no memory"); });
    EXPECT_THROW(aside->join(), std::runtime_error);
  }
}

TEST(Crew, WorksBesideWithAThreadLess) {
  Crew crew({.threads = 2}, 0);
  std::atomic<bool> go_on{false};
  const auto aside = crew.beside([&] { go_on.wait(false); });
  const auto caller = std::this_thread::get_id();
  crew.each(kPieces, [&](unsigned worker, std::size_t) {
    EXPECT_EQ(worker, 0U);
    EXPECT_EQ(std::this_thread::get_id(), caller);
  });
  go_on = true;
  go_on.notify_one();
  aside->join();
}

TEST(Crew, TellsOnTheCallingThreadAndNotTooOften) {
  std::vector<CompileProgress> told;
  const auto caller = std::this_thread::get_id();
  const auto hear = [&](const CompileProgress& progress) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    told.push_back(progress);
  };
  Crew crew({.threads = 3, .progress = hear}, 0);
  const auto begin = std::chrono::steady_clock::now();
  crew.begin("rows", kPieces);
  crew.each(kPieces, [&](unsigned, std::size_t) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    crew.advance();
  });
  crew.begin("table", 1);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  ASSERT_GE(told.size(), 2U);
  EXPECT_LE(told.size(), 3U + static_cast<std::size_t>(took.count()) / 50);
  EXPECT_EQ(told.front().phase, "rows");
  EXPECT_EQ(told.front().done, 0U);
  EXPECT_EQ(told.front().total, kPieces);
  EXPECT_EQ(told.back().phase, "table");
  for (const CompileProgress& progress : told) {
    EXPECT_LE(progress.done, progress.total);
  }
}

}  // namespace
}  // namespace portcullis::classifier
