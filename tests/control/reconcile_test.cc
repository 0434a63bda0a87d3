// SPDX-License-Identifier: MIT
#include "control/reconcile.h"

#include <algorithm>
#include <stop_token>

#include <gtest/gtest.h>

#include "classifier/lookup.h"
#include "classifier/verdict.h"
#include "tests/control/fake_publisher.h"

namespace portcullis::control {
namespace {

/// Commits, or fails the test.
Applied commit(Reconcile& reconcile, const std::vector<policy::Manifest>& manifests) {
  Prepared prepared = reconcile.prepare(manifests);
  EXPECT_TRUE(prepared) << (prepared ? "" : prepared.error().message);
  auto applied = reconcile.apply(*std::move(prepared), {.who = "tester", .comment = "a change"});
  EXPECT_TRUE(applied);
  return *std::move(applied);
}

Applied roll_back(Reconcile& reconcile, std::optional<std::uint64_t> number) {
  const Revision& wanted = **reconcile.find(number);
  Prepared prepared = reconcile.prepare(wanted);
  return *reconcile.apply(*std::move(prepared), {.who = "tester", .rollback_to = wanted.number});
}

bool web_reaches_db(const FakePublisher& publisher, std::uint16_t port) {
  const classifier::Flow flow{.src = *parse_ip("10.0.0.1"),
                              .dst = *parse_ip("10.0.0.2"),
                              .protocol = classifier::kProtocolTcp,
                              .dst_port = port};
  return classifier::lookup(*publisher.running, flow).allowed();
}

/// The packets counted for rule `number` of policy shop/db.
std::uint64_t packets_of(const Reconcile& reconcile, std::uint32_t number) {
  for (const RuleTotal& total : reconcile.rule_totals()) {
    const auto& origin = total.name.origin;
    if (origin && origin->policy == "shop/db" && origin->rule == number) {
      return total.packets;
    }
  }
  return 0;
}

TEST(Reconcile, ChangesNothingWhenTheCompileIsStopped) {
  FakePublisher publisher;
  std::stop_source source;
  ReconcileOptions options = open_by_default();
  options.compiling.stop = source.get_token();
  Reconcile reconcile(options, publisher);
  commit(reconcile, shop({80}));
  source.request_stop();
  const Prepared prepared = reconcile.prepare(shop({81}));
  ASSERT_FALSE(prepared);
  EXPECT_NE(prepared.error().message.find("the compile was stopped"), std::string::npos);
  EXPECT_EQ(reconcile.history().size(), 1U);
  EXPECT_TRUE(web_reaches_db(publisher, 80));
}

TEST(Reconcile, PublishesWhatTheManifestsSay) {
  FakePublisher publisher;
  Reconcile reconcile(open_by_default(), publisher);
  const Applied applied = commit(reconcile, shop({80}));
  EXPECT_TRUE(applied.changed);
  EXPECT_EQ(applied.revision.number, 1U);
  EXPECT_EQ(applied.revision.counts.pods, 2U);
  EXPECT_EQ(applied.revision.counts.policies, 1U);
  EXPECT_EQ(applied.revision.digest.size(), 64U);
  EXPECT_TRUE(web_reaches_db(publisher, 80));
  EXPECT_FALSE(web_reaches_db(publisher, 81));
  EXPECT_EQ(publisher.ids, classifier::kBuiltinRules + applied.revision.counts.rules);
}

TEST(Reconcile, DeniesEverythingInDenyModeWithoutManifests) {
  FakePublisher publisher;
  Reconcile reconcile({.lowering = {.pod_cidrs = {*parse_prefix("10.0.0.0/8")}}}, publisher);
  EXPECT_TRUE(commit(reconcile, {}).changed);
  EXPECT_FALSE(web_reaches_db(publisher, 80));
}

TEST(Reconcile, MakesNoRevisionOfContentThatRuns) {
  FakePublisher publisher;
  Reconcile reconcile(open_by_default(), publisher);
  commit(reconcile, shop({80}));
  const Applied again = commit(reconcile, shop({80}));
  EXPECT_FALSE(again.changed);
  EXPECT_EQ(again.revision.number, 1U);
  EXPECT_EQ(publisher.published, 1U);
}

TEST(Reconcile, NamesNewPlacesOfContentThatRuns) {
  FakePublisher publisher;
  Reconcile reconcile(open_by_default(), publisher);
  commit(reconcile, shop({80}));
  std::vector<policy::Manifest> moved = shop({80});
  moved[1] = {"elsewhere.yaml", "# One line more.\n" + moved[1].text};
  EXPECT_FALSE(commit(reconcile, moved).changed);
  const auto located = reconcile.view()->locator().locate(
      {.src = "shop/web", .dst = "shop/db", .protocol = classifier::kProtocolTcp, .port = 80});
  ASSERT_TRUE(located);
  const auto explanation = reconcile.view()->explainer().explain(located->flow);
  ASSERT_TRUE(explanation.ingress.decider);
  EXPECT_EQ(explanation.ingress.decider->where.file, "elsewhere.yaml");
}

TEST(Reconcile, GoesOneBackWithoutACompile) {
  FakePublisher publisher;
  Reconcile reconcile(open_by_default(), publisher);
  commit(reconcile, shop({79}));
  commit(reconcile, shop({80}));
  const auto* const table = publisher.running.get();
  commit(reconcile, shop({81}));
  EXPECT_TRUE(roll_back(reconcile, std::nullopt).changed);
  EXPECT_EQ(publisher.running.get(), table);
  EXPECT_TRUE(web_reaches_db(publisher, 80));
  // Older ones are compiled again.
  EXPECT_FALSE((*reconcile.find(1))->compiled);
  roll_back(reconcile, 1);
  EXPECT_TRUE(web_reaches_db(publisher, 79));
}

TEST(Reconcile, ChangesNothingWhenManifestsAreInvalid) {
  FakePublisher publisher;
  Reconcile reconcile(open_by_default(), publisher);
  commit(reconcile, shop({80}));
  const Prepared refused = reconcile.prepare(shop({80, 70'000}));
  ASSERT_FALSE(refused);
  ASSERT_FALSE(refused.error().diagnostics.empty());
  EXPECT_EQ(refused.error().diagnostics[0].where.file, "policy.yaml");
  EXPECT_GT(refused.error().diagnostics[0].where.line, 0U);
  EXPECT_NE(refused.error().message.find("policy.yaml"), std::string::npos);
  EXPECT_TRUE(web_reaches_db(publisher, 80));
  EXPECT_EQ(reconcile.history().size(), 1U);
}

TEST(Reconcile, SaysWhereTwoPodsClaimOneAddress) {
  FakePublisher publisher;
  const Reconcile reconcile(open_by_default(), publisher);
  std::string twice = two_pods();
  twice.replace(twice.find("10.0.0.2"), 8, "10.0.0.1");
  twice.replace(twice.find("10.0.0.2"), 8, "10.0.0.1");
  const Prepared refused = reconcile.prepare(std::vector<policy::Manifest>{{"p.yaml", twice}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().diagnostics[0].where.file, "p.yaml");
  EXPECT_GT(refused.error().diagnostics[0].where.line, 0U);
}

TEST(Reconcile, RefusesATableOverItsLimit) {
  FakePublisher publisher;
  ReconcileOptions options = open_by_default();
  options.compiling.table_bytes_max = 100;
  const Reconcile reconcile(options, publisher);
  EXPECT_FALSE(reconcile.prepare(shop({80})));
}

TEST(Reconcile, ChangesNothingWhenThePublisherRefuses) {
  FakePublisher publisher;
  Reconcile reconcile(open_by_default(), publisher);
  commit(reconcile, shop({80}));
  publisher.broken = true;
  EXPECT_FALSE(reconcile.apply(*reconcile.prepare(shop({81})), {.who = "tester"}));
  EXPECT_EQ(reconcile.history().size(), 1U);
  EXPECT_TRUE(web_reaches_db(publisher, 80));
  const auto located = reconcile.view()->locator().locate(
      {.src = "shop/web", .dst = "shop/db", .protocol = classifier::kProtocolTcp, .port = 80});
  EXPECT_TRUE(reconcile.view()->explainer().explain(located->flow).allowed);
}

TEST(Reconcile, RollsBackToTheRevisionBeforeAndToAnyKept) {
  FakePublisher publisher;
  Reconcile reconcile(open_by_default(), publisher);
  commit(reconcile, shop({80}));
  commit(reconcile, shop({81}));
  commit(reconcile, shop({82}));
  const Applied back = roll_back(reconcile, std::nullopt);
  EXPECT_EQ(back.revision.number, 4U);
  EXPECT_EQ(back.revision.intent.rollback_to, 2U);
  EXPECT_TRUE(web_reaches_db(publisher, 81));
  EXPECT_EQ(roll_back(reconcile, 1).revision.number, 5U);
  EXPECT_TRUE(web_reaches_db(publisher, 80));
  EXPECT_FALSE(roll_back(reconcile, 5).changed);
}

TEST(Reconcile, KeepsOnlyTheLastRevisions) {
  FakePublisher publisher;
  ReconcileOptions options = open_by_default();
  options.history_max = 3;
  Reconcile reconcile(options, publisher);
  for (int port = 1; port <= 5; ++port) {
    commit(reconcile, shop({port}));
  }
  EXPECT_EQ(reconcile.history().size(), 3U);
  EXPECT_EQ(reconcile.history().front().number, 3U);
  const auto gone = reconcile.find(1);
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().message.find("3 to 5"), std::string::npos) << gone.error().message;
}

TEST(Reconcile, HasNothingToRollBackToAtFirst) {
  FakePublisher publisher;
  Reconcile reconcile(open_by_default(), publisher);
  EXPECT_FALSE(reconcile.find(1));
  EXPECT_FALSE(reconcile.find(std::nullopt));
  commit(reconcile, shop({80}));
  EXPECT_FALSE(reconcile.find(std::nullopt));
}

TEST(Reconcile, KeepsCountersOfRulesThatDidNotChange) {
  FakePublisher publisher;
  Reconcile reconcile(open_by_default(), publisher);
  commit(reconcile, shop({80, 90}));
  publisher.hits = {{.rule = classifier::rule_id(std::size_t{0}), .packets = 5},
                    {.rule = classifier::rule_id(std::size_t{1}), .packets = 7},
                    {.rule = rule_id(classifier::Builtin::no_subject), .packets = 100}};
  EXPECT_EQ(packets_of(reconcile, 1), 5U);
  EXPECT_EQ(packets_of(reconcile, 2), 7U);
  // A rule is put ahead of the first, and the second changes its words.
  commit(reconcile, shop({79, 80, 91}));
  EXPECT_EQ(packets_of(reconcile, 1), 0U);
  EXPECT_EQ(packets_of(reconcile, 2), 5U);
  EXPECT_EQ(packets_of(reconcile, 3), 0U);
  publisher.hits = {{.rule = classifier::rule_id(std::size_t{1}), .packets = 2}};
  EXPECT_EQ(packets_of(reconcile, 2), 7U);
  EXPECT_EQ(reconcile.rule_totals().front().name.builtin, "no_subject");
  EXPECT_EQ(reconcile.rule_totals().front().packets, 100U);
}

TEST(Reconcile, TellsEqualRulesOfOnePolicyApart) {
  FakePublisher publisher;
  Reconcile reconcile(open_by_default(), publisher);
  commit(reconcile, shop({80, 80}));
  publisher.hits = {{.rule = classifier::rule_id(std::size_t{0}), .packets = 5}};
  EXPECT_EQ(packets_of(reconcile, 1), 5U);
  EXPECT_EQ(packets_of(reconcile, 2), 0U);
}

}  // namespace
}  // namespace portcullis::control
