// SPDX-License-Identifier: MIT
#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "dataplane/conntrack.h"
#include "dataplane/flows/query.h"
#include "tests/support/tuple.h"

namespace portcullis::dataplane {
namespace {

using enum FlowState;
using Action = FlowRequest::Action;
using Event = Packet::Event;
using test::tuple;

constexpr std::uint64_t kSecond = 1'000'000'000;

FlowTuple web(std::uint16_t src_port) {
  return tuple("10.0.0.1", src_port, "10.0.0.2", 80);
}

Prefix block(std::string_view text) {
  return parse_prefix(text).value();
}

bool fits(const FlowFilter& filter, const FlowTuple& flow, FlowState state = established) {
  FlowEntry entry;
  entry.tuple = flow;
  entry.state = state;
  return matches(filter, entry);
}

TEST(FlowFilter, FitsEveryFlowWhenEmpty) {
  EXPECT_TRUE(FlowFilter{}.fits_all());
  EXPECT_TRUE(fits({}, web(1)));
  EXPECT_TRUE(fits({}, tuple("fd00::1", 77, "fd00::2", 128 << 8, classifier::kProtocolIcmpv6)));
  EXPECT_FALSE(FlowFilter{.port = 80}.fits_all());
  EXPECT_FALSE(FlowFilter{.either = {block("::/0")}}.fits_all());
}

TEST(FlowFilter, TellsWhoBeganAFlow) {
  const std::pair<FlowTuple, const char*> flows[] = {
      {web(1), "10.0.0.1/32"}, {tuple("fd00::1:1", 1, "fd00::2:1", 80), "fd00::1:0/112"}};
  for (const auto& [flow, client] : flows) {
    const Prefix from = block(client);
    EXPECT_TRUE(fits({.from = {from}}, flow));
    EXPECT_FALSE(fits({.to = {from}}, flow));
    EXPECT_TRUE(fits({.either = {from}}, flow));
    EXPECT_FALSE(fits({.from = {from}}, reversed(flow)));
    EXPECT_TRUE(fits({.to = {from}}, reversed(flow)));
    EXPECT_TRUE(fits({.either = {from}}, reversed(flow)));
    EXPECT_FALSE(fits({.from = {from}, .to = {from}}, flow));
  }
}

TEST(FlowFilter, KeepsTheFamiliesApart) {
  EXPECT_FALSE(fits({.from = {block("::/0")}}, web(1)));
  EXPECT_TRUE(fits({.from = {block("0.0.0.0/0")}}, web(1)));
  EXPECT_FALSE(fits({.either = {block("0.0.0.0/0")}}, tuple("fd00::1", 1, "fd00::2", 80)));
  // A pod of both families is meant by either of its addresses.
  const FlowFilter pod{.from = {block("10.0.0.1/32"), block("fd00::1/128")}};
  EXPECT_TRUE(fits(pod, web(1)));
  EXPECT_TRUE(fits(pod, tuple("fd00::1", 1, "fd00::2", 80)));
  EXPECT_FALSE(fits(pod, tuple("fd00::2", 1, "fd00::1", 80)));
}

TEST(FlowFilter, TakesThePortOfEitherEnd) {
  EXPECT_TRUE(fits({.port = 80}, web(40'000)));
  EXPECT_TRUE(fits({.port = 40'000}, web(40'000)));
  EXPECT_FALSE(fits({.port = 81}, web(40'000)));
  // An identifier is no port, nor is a type.
  const FlowTuple ping = tuple("10.0.0.1", 80, "10.0.0.2", 8 << 8, classifier::kProtocolIcmp);
  EXPECT_FALSE(fits({.port = 80}, ping));
  EXPECT_FALSE(fits({.port = 8 << 8}, ping));
}

TEST(FlowFilter, TellsProtocolsAndStatesApart) {
  const FlowTuple ping4 = tuple("10.0.0.1", 7, "10.0.0.2", 8 << 8, classifier::kProtocolIcmp);
  const FlowTuple ping6 = tuple("fd00::1", 7, "fd00::2", 128 << 8, classifier::kProtocolIcmpv6);
  const FlowFilter icmp{.protocol = classifier::kProtocolIcmp};
  EXPECT_TRUE(fits(icmp, ping4));
  EXPECT_TRUE(fits(icmp, ping6));
  EXPECT_FALSE(fits(icmp, web(1)));
  EXPECT_TRUE(fits({.protocol = classifier::kProtocolTcp}, web(1)));
  EXPECT_FALSE(fits({.protocol = classifier::kProtocolUdp}, web(1)));
  EXPECT_TRUE(fits({.state = opening}, web(1), opening));
  EXPECT_FALSE(fits({.state = opening}, web(1), closing));
}

/// A table of several steps and its clock.
class Rig {
 public:
  explicit Rig(std::uint32_t flows_max = 1000) : table({.flows_max = flows_max}, 42) {}

  std::uint32_t insert(const FlowTuple& flow, Event event = Event::begin) {
    return table.insert(
        {.tuple = flow, .event = event, .verdict = {}, .epoch = 7}, table.hash(flow), now_ns);
  }
  void fill(std::uint16_t first_port, std::uint16_t count) {
    for (std::uint16_t port = first_port; port < first_port + count; ++port) {
      insert(web(port));
    }
  }
  /// Runs a query to its end; `between` runs after each step.
  FlowAnswer ask(
      const FlowRequest& request, const std::function<void()>& between = [] {}) {
    FlowQuery query(request);
    for (steps = 1; !query.step(table, now_ns); ++steps) {
      between();
    }
    return query.take();
  }

  Conntrack table;
  std::uint64_t now_ns = 1000 * kSecond;
  std::size_t steps = 0;
};

TEST(FlowQuery, LooksAtABoundedNumberOfEntriesAStep) {
  Rig rig(1000);
  rig.fill(1, 1000);
  const FlowAnswer answer = rig.ask({.action = Action::count});
  EXPECT_EQ(rig.steps, 4U);
  EXPECT_EQ(sum(answer.counts), 1000U);
  EXPECT_TRUE(answer.records.empty());
  Rig even(512);
  even.ask({.action = Action::count});
  EXPECT_EQ(even.steps, 2U);
}

TEST(FlowQuery, RecordsWhatAFlowIs) {
  Rig rig;
  rig.insert(web(40'000));
  rig.insert(tuple("10.0.0.1", 5, "10.0.0.2", 53, classifier::kProtocolUdp), Event::data);
  rig.now_ns += 10 * kSecond;
  const FlowAnswer answer =
      rig.ask({.filter = {.protocol = classifier::kProtocolTcp}, .records_max = 10});
  ASSERT_EQ(answer.records.size(), 1U);
  EXPECT_EQ(answer.records[0].tuple, web(40'000));
  EXPECT_EQ(answer.records[0].state, opening);
  EXPECT_EQ(answer.records[0].epoch, 7U);
  EXPECT_EQ(answer.records[0].left_ns, 20 * kSecond);
  EXPECT_EQ(answer.counts[0][static_cast<std::size_t>(opening)], 1U);
  EXPECT_EQ(sum(answer.counts), 1U);
}

TEST(FlowQuery, CountsWhatItHasNoRoomToRecord) {
  Rig rig;
  rig.fill(1, 700);
  const FlowAnswer answer = rig.ask({.records_max = 300});
  EXPECT_EQ(answer.records.size(), 300U);
  EXPECT_EQ(sum(answer.counts), 700U);
}

TEST(FlowQuery, LeavesOutWhatHasTimedOut) {
  Rig rig;
  rig.fill(1, 10);
  rig.now_ns += 31 * kSecond;
  EXPECT_EQ(sum(rig.ask({.action = Action::count}).counts), 0U);
  EXPECT_EQ(sum(rig.ask({.action = Action::flush}).counts), 0U);
  EXPECT_EQ(rig.table.size(), 10U);  // They expire in their own time, and count as such.
}

TEST(FlowQuery, ReportsNoEntryTwiceThoughFlowsComeAndGoBetweenSteps) {
  Rig rig(2000);
  rig.fill(1, 1500);
  std::uint16_t next_port = 10'000;
  std::uint32_t next_index = 0;
  const FlowAnswer answer = rig.ask({.records_max = 4000}, [&] {
    for (int i = 0; i < 200; ++i) {
      rig.insert(web(next_port++));
      next_index = (next_index + 37) % 1500;
      if (rig.table.entry(next_index).state != none) {
        rig.table.remove(next_index);
      }
    }
  });
  std::set<std::uint16_t> ports;
  for (const FlowRecord& flow : answer.records) {
    EXPECT_TRUE(ports.insert(flow.tuple.src_port).second) << flow.tuple.src_port;
  }
  EXPECT_GT(ports.size(), 1000U);
  EXPECT_EQ(sum(answer.counts), answer.records.size());
}

TEST(FlowQuery, EndsTheFlowsThatMatchAndNoOthers) {
  Rig rig;
  rig.fill(1, 600);
  rig.insert(tuple("10.0.0.9", 5, "10.0.0.2", 80));
  const FlowRequest request{.action = Action::flush,
                            .filter = {.from = {block("10.0.0.1/32")}, .port = 80}};
  EXPECT_EQ(sum(rig.ask(request).counts), 600U);
  EXPECT_EQ(rig.table.size(), 1U);
  const FlowTuple gone = web(5);
  EXPECT_FALSE(rig.table.find({.tuple = gone, .hash = rig.table.hash(gone)}, rig.now_ns));
  const FlowTuple kept = tuple("10.0.0.9", 5, "10.0.0.2", 80);
  EXPECT_TRUE(rig.table.find({.tuple = kept, .hash = rig.table.hash(kept)}, rig.now_ns));
  EXPECT_EQ(rig.table.expired() + rig.table.evicted(), 0U);
}

TEST(FlowQuery, EndsAtItsNextStepWhenCancelled) {
  Rig rig;
  rig.fill(1, 1000);
  FlowQuery query({.action = Action::flush});
  EXPECT_FALSE(query.step(rig.table, rig.now_ns));
  query.cancel();
  EXPECT_TRUE(query.step(rig.table, rig.now_ns));
  EXPECT_EQ(rig.table.size(), 1000U - FlowQuery::kStepMax);
}

/// Denies flows from ports 1 to 300, of both families.
std::shared_ptr<const classifier::Table> low_ports_denied() {
  classifier::RuleSet rules{.default_mode = classifier::DefaultMode::kubernetes};
  rules.static_rules.push_back({.protocol = classifier::kProtocolTcp,
                                .src_ports = {1, 300},
                                .action = classifier::Action::deny});
  return classifier::compile(rules).value();
}

TEST(FlowQuery, EndsJustTheFlowsThatATableDenies) {
  Rig rig(1000);
  rig.fill(1, 400);
  for (std::uint16_t port = 201; port <= 500; ++port) {
    rig.insert(tuple("fd00::1", port, "fd00::2", 80));
  }
  const FlowFilter filter{.denied_by = low_ports_denied()};
  EXPECT_FALSE(filter.fits_all());
  EXPECT_EQ(sum(rig.ask({.action = Action::count, .filter = filter}).counts), 400U);
  EXPECT_EQ(rig.table.size(), 700U);
  const FlowAnswer answer =
      rig.ask({.action = Action::flush, .filter = filter, .records_max = 1000});
  ASSERT_EQ(answer.records.size(), 400U);
  for (const FlowRecord& flow : answer.records) {
    EXPECT_LE(flow.tuple.src_port, 300U);
  }
  EXPECT_EQ(rig.table.size(), 300U);
  EXPECT_EQ(sum(rig.ask({.action = Action::count, .filter = filter}).counts), 0U);
}

TEST(FlowQuery, LeavesFlowsToTheTableThatJudgedThemLast) {
  Rig rig;
  rig.fill(1, 10);  // Of epoch 7.
  FlowFilter filter{.denied_by = low_ports_denied(), .judged_before = 7};
  EXPECT_EQ(sum(rig.ask({.action = Action::flush, .filter = filter}).counts), 0U);
  filter.judged_before = 8;
  EXPECT_EQ(sum(rig.ask({.action = Action::flush, .filter = filter}).counts), 10U);
}

TEST(FlowQuery, TakesFlowsFromAnEpochOn) {
  Rig rig;
  rig.fill(1, 10);  // Of epoch 7.
  const FlowFilter since_7{.judged_since = 7};
  EXPECT_FALSE(since_7.fits_all());
  EXPECT_EQ(sum(rig.ask({.action = Action::count, .filter = since_7}).counts), 10U);
  EXPECT_EQ(sum(rig.ask({.action = Action::count, .filter = {.judged_since = 8}}).counts), 0U);
}

TEST(FlowQuery, RenewsTheFlowsThatATableAllowsAndCountsTheOthers) {
  Rig rig(1000);
  rig.fill(1, 400);
  rig.insert(tuple("fd00::1", 301, "fd00::2", 80));
  const FlowFilter filter{.denied_by = low_ports_denied(), .judged_before = 9};
  const FlowRequest request{.action = Action::renew, .filter = filter, .renewed_epoch = 9};
  EXPECT_EQ(sum(rig.ask(request).counts), 300U);
  EXPECT_EQ(rig.table.size(), 401U);
  const FlowAnswer answer = rig.ask({.records_max = 1000});
  ASSERT_EQ(answer.records.size(), 401U);
  for (const FlowRecord& flow : answer.records) {
    const bool denied = flow.tuple.src_port <= 300;
    EXPECT_EQ(flow.epoch, denied ? 7U : 9U);
    EXPECT_EQ(flow.verdict.allowed(), !denied);  // As this rig inserts them, none is allowed.
  }
}

TEST(FlowQuery, GroupsByWhoCallsWhat) {
  Rig rig(1000);
  rig.fill(1, 3);
  rig.insert(tuple("10.0.0.1", 9, "10.0.0.2", 81));
  const FlowTuple ping = tuple("10.0.0.1", 7, "10.0.0.2", 8 << 8, classifier::kProtocolIcmp);
  rig.insert(ping);
  const FlowAnswer answer =
      rig.ask({.action = Action::top, .records_max = 2, .grouped_by = GroupedBy::call});
  const std::vector<FlowGroup> groups = merge({answer.groups});
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[0].flows, 3U);
  FlowTuple call = web(0);
  EXPECT_EQ(groups[0].key, call) << "whoever's port it came from";
  FlowTuple pings = ping;
  pings.src_port = 0;
  EXPECT_EQ(groups[1].key, pings);
  EXPECT_EQ(answer.records.size(), 2U) << "flows are recorded beside";
}

TEST(FlowQuery, GroupsTheFlowsThatMatch) {
  Rig rig(1000);
  rig.fill(1, 600);
  for (std::uint16_t port = 1; port <= 50; ++port) {
    rig.insert(tuple("10.0.0.9", port, "10.0.0.2", 80));
    rig.insert(tuple("10.0.0.8", port, "10.0.0.2", 81));
  }
  const FlowRequest request{
      .action = Action::top, .filter = {.port = 80}, .grouped_by = GroupedBy::source};
  const FlowAnswer answer = rig.ask(request);
  EXPECT_EQ(rig.steps, 8U) << "smaller steps, since each may take longer";
  EXPECT_EQ(sum(answer.counts), 650U);
  EXPECT_TRUE(answer.records.empty());
  EXPECT_EQ(answer.missed_max, 0U);
  const std::vector<FlowGroup> groups = merge({answer.groups});
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].key.src, web(1).src);
  EXPECT_EQ(groups[0].flows, 600U);
  EXPECT_EQ(groups[1].flows, 50U);
  EXPECT_EQ(rig.table.size(), 700U);
}

TEST(FlowMailbox, KeepsAQueryWhoseAskerIsGone) {
  FlowMailbox mailbox;
  EXPECT_EQ(mailbox.asked(), nullptr);
  auto query = std::make_shared<FlowQuery>(FlowRequest{});
  const std::weak_ptr<FlowQuery> watched = query;
  mailbox.post(std::move(query));
  EXPECT_FALSE(mailbox.empty());
  ASSERT_NE(mailbox.asked(), nullptr);
  EXPECT_EQ(mailbox.asked(), watched.lock().get());
  mailbox.let_go();
  EXPECT_TRUE(mailbox.empty());
  mailbox.post(std::make_shared<FlowQuery>(FlowRequest{}));
  EXPECT_TRUE(watched.expired());
}

TEST(FlowMailbox, KeepsNoTableThatNobodyNeeds) {
  FlowMailbox mailbox;
  auto table = low_ports_denied();
  const std::weak_ptr<const classifier::Table> watched = table;
  mailbox.post(std::make_shared<FlowQuery>(FlowRequest{.filter = {.denied_by = std::move(table)}}));
  mailbox.let_go();
  EXPECT_FALSE(watched.expired());
  mailbox.clear();
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace portcullis::dataplane
