// SPDX-License-Identifier: MIT
// The swap by itself, without EAL: grace periods, sleeping readers, and (under TSan) its races.
#include "dataplane/dpdk/table_slot.h"

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "classifier/compile.h"

namespace portcullis::dataplane {
namespace {

std::unique_ptr<const Generation> generation(std::uint64_t epoch, std::size_t rule_ids = 8) {
  auto next = std::make_unique<Generation>();
  next->epoch = epoch;
  next->rule_ids = rule_ids;
  return next;
}

TEST(TableSlot, ReaderSeesWhatWasPublishedLast) {
  TableSlot slot(1);
  slot.publish(generation(1));
  TableSlot::Reader reader(slot, 0);
  reader.online();
  EXPECT_EQ(reader.current().epoch, 1U);
  reader.offline();
  slot.publish(generation(2));
  reader.online();
  EXPECT_EQ(reader.current().epoch, 2U);
  EXPECT_EQ(slot.running().epoch, 2U);
}

TEST(TableSlot, CountersBelongToTheGenerationAndToTheReader) {
  TableSlot slot(2);
  slot.publish(generation(1, 3));
  {
    TableSlot::Reader reader(slot, 1);
    reader.online();
    ASSERT_EQ(reader.current().rule_ids, 3U);
    ASSERT_EQ(reader.counts().hits.size(), 3U);
    ASSERT_EQ(reader.counts().resets.size(), 3U);
    reader.counts().hits[2] = 7;
    reader.counts().resets[1] = 5;
  }
  EXPECT_EQ(slot.counts(1).hits[2], 7U);
  EXPECT_EQ(slot.counts(0).hits[2], 0U);
  const auto retired = slot.publish(generation(2, 5));
  ASSERT_EQ(retired.size(), 2U);
  EXPECT_EQ(retired[1].hits[2], 7U);
  EXPECT_EQ(retired[1].resets[1], 5U);
  ASSERT_EQ(slot.counts(1).hits.size(), 5U);
  EXPECT_EQ(slot.counts(1).hits[2], 0U);
}

TEST(TableSlot, PublishWaitsForTheBurstOfAReader) {
  TableSlot slot(1);
  slot.publish(generation(1));
  TableSlot::Reader reader(slot, 0);
  reader.online();
  const Generation& held = reader.current();
  std::atomic<bool> published{false};
  std::thread writer([&] {
    slot.publish(generation(2));
    published.store(true);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(published.load());
  EXPECT_EQ(held.epoch, 1U);  // Still alive; ASan would say otherwise.
  reader.quiescent();
  writer.join();
  EXPECT_TRUE(published.load());
  EXPECT_EQ(reader.current().epoch, 2U);
}

TEST(TableSlot, PublishDoesNotWaitForASleepingOrDepartedReader) {
  TableSlot slot(2);
  slot.publish(generation(1));
  TableSlot::Reader sleeper(slot, 0);
  sleeper.online();
  sleeper.offline();
  {
    TableSlot::Reader departed(slot, 1);
    departed.online();
    EXPECT_EQ(departed.current().epoch, 1U);
  }
  slot.publish(generation(2));  // Would hang.
  EXPECT_EQ(slot.running().epoch, 2U);
}

TEST(TableSlot, FreesTheOldGenerationWithItsTable) {
  TableSlot slot(1);
  for (std::uint64_t epoch = 1; epoch <= 3; ++epoch) {
    auto table = classifier::compile({});
    ASSERT_TRUE(table.has_value());
    auto next = std::make_unique<Generation>();
    next->epoch = epoch;
    next->table = *std::move(table);
    slot.publish(std::move(next));  // LeakSanitizer counts the others.
  }
  EXPECT_NE(slot.running().table, nullptr);
}

/// Thousands of swaps under readers that also sleep, leave and come back. A reader that touched a
/// freed generation, or saw epochs run backwards, fails; TSan judges the rest.
TEST(TableSlot, SwapsUnderManyReaders) {
  constexpr std::size_t kReaders = 3;
  constexpr std::uint64_t kSwaps = 3000;
  TableSlot slot(kReaders);
  slot.publish(generation(1));
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> backwards{0};
  std::vector<std::thread> readers;
  std::latch reading(kReaders);
  for (std::size_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&, i] {
      std::uint64_t last = 0;
      std::uint64_t turns = 0;
      while (!done.load(std::memory_order_relaxed)) {
        TableSlot::Reader reader(slot, i);
        reader.online();
        for (int burst = 0; burst < 500 && !done.load(std::memory_order_relaxed); ++burst) {
          const Generation& now = reader.current();
          backwards += now.epoch < last ? 1 : 0;
          last = now.epoch;
          ++reader.counts().hits[now.epoch % now.rule_ids];
          reader.quiescent();
          if (turns == 0) {
            reading.count_down();
          }
          if (++turns % 64 == i) {
            reader.offline();
            std::this_thread::yield();
            reader.online();
          }
        }
      }
    });
  }
  reading.wait();  // Without it a busy machine may swap them all before a reader has started.
  for (std::uint64_t epoch = 2; epoch <= kSwaps; ++epoch) {
    slot.publish(generation(epoch, 1 + epoch % 16));
  }
  done = true;
  for (std::thread& reader : readers) {
    reader.join();
  }
  EXPECT_EQ(backwards.load(), 0U);
  EXPECT_EQ(slot.running().epoch, kSwaps);
}

}  // namespace
}  // namespace portcullis::dataplane
