// SPDX-License-Identifier: MIT
#include <algorithm>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "dataplane/counters.h"
#include "dataplane/flows/ask.h"
#include "dataplane/packet/headers.h"
#include "dataplane/pipeline.h"
#include "tests/support/packet.h"

namespace portcullis::dataplane {
namespace {

using Action = FlowRequest::Action;
using std::chrono::milliseconds;
using test::Bytes;
using test::Ends;

constexpr milliseconds kPatience{20'000};
constexpr std::uint64_t kStepNs = 1'000;

/// Everyone may reach everyone.
Generation open_generation() {
  return {
      .epoch = 1,
      .table = classifier::compile({.default_mode = classifier::DefaultMode::kubernetes}).value(),
      .rule_ids = classifier::kBuiltinRules};
}

/// A pipeline and what its worker does, by hand.
class Driver {
 public:
  explicit Driver(std::uint32_t flows_max) : pipeline({.conntrack = {.flows_max = flows_max}}) {}

  Outcome send(Bytes frame) {
    const Frame one{.data = frame.data(), .length = static_cast<std::uint32_t>(frame.size())};
    Outcome outcome;
    pipeline.process(generation, now_ns, std::span(&one, 1), std::span(&outcome, 1), {hits, {}});
    return outcome;
  }
  void poll() {
    pipeline.answer(now_ns);
    pipeline.expire(now_ns);
    now_ns += kStepNs;
  }

  const Generation generation = open_generation();
  std::vector<std::uint64_t> hits = std::vector<std::uint64_t>(generation.rule_ids);
  std::uint64_t now_ns = 1'000'000'000;
  Pipeline pipeline;
};

/// Polls, with new flows, until told to stop.
void work(Driver& driver, const std::stop_token& stop, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  while (!stop.stop_requested()) {
    for (int i = 0; i < 4; ++i) {
      const Ends ends{"10.0.0.1", "10.0.0.2", static_cast<std::uint16_t>(random()), 53};
      driver.send(test::udp_frame(ends));
    }
    driver.poll();
  }
}

TEST(AskFlows, ListsAndEndsTheFlowsOfWorkersThatGoOn) {
  Driver first(4096);
  Driver second(1000);
  std::jthread one([&](const std::stop_token& stop) { work(first, stop, 1); });
  std::jthread other([&](const std::stop_token& stop) { work(second, stop, 2); });
  FlowMailbox* const workers[] = {&first.pipeline.mailbox(), &second.pipeline.mailbox()};
  std::uint64_t listed = 0;
  std::uint64_t ended = 0;
  for (int i = 0; i < 50; ++i) {
    const auto list = ask_flows(workers, {.records_max = 500}, kPatience);
    ASSERT_TRUE(list) << to_string(list.error());
    ASSERT_EQ(list->size(), 2U);
    for (const FlowAnswer& answer : *list) {
      EXPECT_EQ(answer.records.size(), std::min<std::uint64_t>(500, sum(answer.counts)));
      for (const FlowRecord& flow : answer.records) {
        EXPECT_EQ(flow.tuple.dst_port, 53);
        EXPECT_EQ(flow.epoch, 1U);
      }
      listed += answer.records.size();
    }
    const auto flush = ask_flows(workers, {.action = Action::flush}, kPatience);
    ASSERT_TRUE(flush) << to_string(flush.error());
    ended += sum((*flush)[0].counts) + sum((*flush)[1].counts);
  }
  one = {};
  other = {};
  EXPECT_GT(listed, 0U);
  EXPECT_GT(ended, 0U);
  // Whatever was made is here, or was ended by us or for want of room.
  const auto gone = [](const Driver& driver) {
    const Counters& counters = driver.pipeline.counters();
    return counters.flows_created.get() - counters.flows.get() - counters.flows_expired.get() -
           counters.flows_evicted.get();
  };
  EXPECT_EQ(gone(first) + gone(second), ended);
}

TEST(AskFlows, EndsWhatATableDeniesAndLetsTheTableGo) {
  Driver driver(4096);
  FlowMailbox* const workers[] = {&driver.pipeline.mailbox()};
  const std::jthread worker([&](const std::stop_token& stop) { work(driver, stop, 4); });
  std::uint64_t ended = 0;
  for (int i = 0; i < 50; ++i) {
    classifier::RuleSet rules{.default_mode = classifier::DefaultMode::kubernetes};
    rules.static_rules.push_back({.src_ports = {0, 30'000}, .action = classifier::Action::deny});
    std::shared_ptr<const classifier::Table> table = classifier::compile(rules).value();
    const std::weak_ptr<const classifier::Table> watched = table;
    const auto flush = ask_flows(
        workers,
        {.action = Action::flush, .filter = {.denied_by = std::move(table)}, .records_max = 100},
        kPatience);
    ASSERT_TRUE(flush) << to_string(flush.error());
    for (const FlowRecord& flow : flush->front().records) {
      EXPECT_LE(flow.tuple.src_port, 30'000);
    }
    ended += sum(flush->front().counts);
    EXPECT_TRUE(watched.expired());
  }
  EXPECT_GT(ended, 0U);
}

TEST(AskFlows, GivesUpOnAWorkerThatDoesNotAnswerAndLetsItComeBack) {
  Driver driver(512);
  driver.send(test::udp_frame({"10.0.0.1", "10.0.0.2", 1, 53}));
  FlowMailbox* const workers[] = {&driver.pipeline.mailbox()};
  const auto refused = ask_flows(workers, {.action = Action::flush}, milliseconds(5));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "worker 0 does not answer; flows may have ended all the same");
  // It still holds the first question, so that a second one does not take its place.
  EXPECT_FALSE(ask_flows(workers, {.records_max = 1}, milliseconds(5)));
  driver.poll();
  EXPECT_TRUE(driver.pipeline.mailbox().empty());
  EXPECT_EQ(driver.pipeline.counters().flows.get(), 1U);  // What was cancelled ends nothing.
  const std::jthread worker([&](const std::stop_token& stop) { work(driver, stop, 3); });
  EXPECT_TRUE(ask_flows(workers, {.records_max = 1}, kPatience));
}

TEST(AskFlows, JudgesTheNextPacketOfAnEndedFlowAsIfItWereUnknown) {
  Driver driver(512);
  const Ends ends{"10.0.0.1", "10.0.0.2", 40'000, 80};
  driver.send(test::tcp_frame(ends, test::kSyn));
  driver.send(test::tcp_frame(turned(ends), test::kSyn | test::kAck));
  EXPECT_EQ(driver.send(test::tcp_frame(ends, test::kAck)).action, Outcome::Action::forward);
  driver.pipeline.mailbox().post(
      std::make_shared<FlowQuery>(FlowRequest{.action = Action::flush, .filter = {.port = 80}}));
  while (!driver.pipeline.mailbox().empty()) {
    driver.poll();
  }
  EXPECT_EQ(driver.pipeline.counters().flows.get(), 0U);
  for (const Ends& direction : {ends, turned(ends)}) {
    const Outcome outcome = driver.send(test::tcp_frame(direction, test::kAck));
    EXPECT_EQ(outcome.action, Outcome::Action::drop);
    EXPECT_EQ(outcome.reason, DropReason::not_a_new_flow);
  }
  EXPECT_EQ(driver.send(test::tcp_frame(ends, test::kSyn)).action, Outcome::Action::forward);
}

}  // namespace
}  // namespace portcullis::dataplane
