// SPDX-License-Identifier: MIT
// What becomes of running flows that a change denies, over a whole control plane: they end, drain
// or are kept; and what later changes, edits and trials make of that.
#include "control/change/established.h"

#include <chrono>
#include <thread>

#include "control/change/drain.h"
#include "tests/control/edit_words.h"
#include "tests/control/live_commands.h"
#include "tests/support/tuple.h"

namespace portcullis::control {
namespace {

using dataplane::FlowTuple;
using nlohmann::json;
using std::chrono::seconds;
using test::tuple;

/// web may call db on port 80, which is revision 1 and epoch 1, and has three connections; and one
/// to port 443 of somebody else, whom no policy isolates.
class Fates : public LiveCommands {
 protected:
  Fates() {
    Prepared prepared = reconcile_.prepare(shop({80}));
    PORTCULLIS_CHECK(prepared && reconcile_.apply(*std::move(prepared), {}));
    publisher_.flow_table =
        std::make_unique<dataplane::Conntrack>(config::Conntrack{.flows_max = 64}, 7);
    for (std::uint16_t port = 40'000; port < 40'003; ++port) {
      insert(tuple("10.0.0.1", port, "10.0.0.2", 80));
    }
    insert(tuple("10.0.0.1", 40'003, "203.0.113.7", 443));
  }

  /// As a worker would that has judged it by now.
  void insert(const FlowTuple& flow) {
    using classifier::Decision;
    dataplane::Conntrack& table = *publisher_.flow_table;
    const auto rule = Decision::allow(rule_id(classifier::Builtin::default_allow));
    table.insert({flow,
                  dataplane::Packet::Event::begin,
                  {.egress = rule, .ingress = rule},
                  publisher_.published},
                 table.hash(flow),
                 FakePublisher::kNowNs);
  }
  [[nodiscard]] std::size_t flows() const { return publisher_.flow_table->size(); }
  /// Those that go on though the running table has not judged them.
  [[nodiscard]] std::size_t kept() {
    const auto answers = publisher_.flows(count_kept(reconcile_));
    return flows_of(answers);
  }
  static std::size_t flows_of(const FlowAnswers& answers) {
    return count_json(answers).get<std::size_t>();
  }

  Answer commit(int port, json more = json::object()) {
    for (const policy::Manifest& one : shop({port})) {
      more["manifests"].push_back({{"name", one.name}, {"text", one.text}});
    }
    return call("commit", more);
  }
  static json flows_told(const Answer& answer) {
    EXPECT_TRUE(answer) << (answer ? "" : answer.error().message);
    return answer ? (*answer)["flows"] : json::object();
  }
  void tick_in(seconds later) {
    server_.run([&] { changes_->tick(Trial::Clock::now() + later); });
    call("plan", {{"manifests", {{{"name", "a"}, {"text", ""}}}}});  // The lane has done it.
    call("plan", {{"manifests", {{{"name", "a"}, {"text", ""}}}}});
  }
  json status() { return *call("status"); }
};

TEST_F(Fates, EndUnlessSomethingElseIsSaid) {
  const json told = flows_told(commit(81));
  EXPECT_EQ(told["established"], "revalidate");
  EXPECT_EQ(told["denied"], 3);
  EXPECT_EQ(told["ended"], 3);
  EXPECT_EQ(told["kept"], 0);
  EXPECT_EQ(flows(), 1U);
  EXPECT_EQ(publisher_.kept_before, 0U);
}

TEST_F(Fates, AreKeptWhereThatIsSaid) {
  const json told = flows_told(commit(81, {{"established", "keep"}}));
  EXPECT_EQ(told["established"], "keep");
  EXPECT_EQ(told["denied"], 3);
  EXPECT_EQ(told["ended"], 0);
  EXPECT_EQ(told["kept"], 3);
  EXPECT_EQ(flows(), 4U);
  EXPECT_EQ(publisher_.kept_before, 2U);
  EXPECT_EQ(kept(), 3U) << "the flow that the table allows is its own now";
  EXPECT_TRUE(status()["drain"].is_null());
}

TEST_F(Fates, AreAsConfiguredWhereNothingIsSaid) {
  config_.conntrack.established = config::Conntrack::Established::keep;
  EXPECT_EQ(flows_told(commit(81))["kept"], 3);
  EXPECT_EQ(flows(), 4U);
  ASSERT_TRUE(call("edit", steps({writing("pod.add", pod_text("web-7", "web", "10.0.0.9"))})));
  EXPECT_EQ(publisher_.kept_before, publisher_.published) << "an edit keeps as well, as configured";
  EXPECT_EQ(flows_told(commit(82, {{"established", "revalidate"}}))["ended"], 3);
  EXPECT_EQ(flows(), 1U);
}

TEST_F(Fates, DrainForATime) {
  const json told = flows_told(commit(81, {{"established", "drain"}, {"drain_s", 60}}));
  EXPECT_EQ(told["established"], "drain");
  EXPECT_EQ(told["drain_s"], 60);
  EXPECT_EQ(told["kept"], 3);
  json drain = status()["drain"];
  ASSERT_TRUE(drain.is_object());
  EXPECT_EQ(drain["revision"], 2);
  EXPECT_EQ(drain["flows"], 3);
  EXPECT_LE(drain["left_s"], 60);
  publisher_.flow_table->remove(0);
  tick_in(seconds(30));
  EXPECT_EQ(status()["drain"]["flows"], 2) << "counted anew";
  const std::uint64_t published = publisher_.published;
  tick_in(seconds(61));
  EXPECT_TRUE(status()["drain"].is_null());
  EXPECT_EQ(publisher_.kept_before, 0U);
  EXPECT_EQ(flows(), 1U);
  EXPECT_EQ(publisher_.published, published) << "the same table in the same epoch";
  EXPECT_EQ(status()["running"]["revision"], 2);
}

TEST_F(Fates, OfADrainHaveAnUsualLength) {
  EXPECT_EQ(flows_told(commit(81, {{"established", "drain"}}))["drain_s"], 300);
}

TEST_F(Fates, OfADrainAreTriedAgainWhereTheDataplaneRefuses) {
  commit(81, {{"established", "drain"}, {"drain_s", 60}});
  server_.run([&] { publisher_.broken = true; });
  tick_in(seconds(61));
  EXPECT_EQ(status()["drain"]["revision"], 2);
  server_.run([&] { publisher_.broken = false; });
  tick_in(seconds(62));
  EXPECT_TRUE(status()["drain"].is_null());
  EXPECT_EQ(flows(), 1U);
}

/// Whoever is let go on by the change goes on; what the edit denies of all others, ends.
TEST_F(Fates, AreNotChangedByEdits) {
  commit(81, {{"established", "drain"}, {"drain_s", 60}});
  const std::uint64_t kept_before = publisher_.kept_before;
  ASSERT_TRUE(call("edit", steps({writing("pod.add", pod_text("web-7", "web", "10.0.0.9"))})));
  EXPECT_EQ(publisher_.kept_before, kept_before);
  EXPECT_EQ(kept(), 3U);
  EXPECT_EQ(status()["drain"]["revision"], 2);
  tick_in(seconds(61));
  EXPECT_EQ(flows(), 1U);
  EXPECT_EQ(status()["running"]["revision"], 3);
}

TEST_F(Fates, AreDecidedAnewByTheNextChange) {
  commit(81, {{"established", "drain"}, {"drain_s", 60}});
  insert(tuple("10.0.0.1", 50'000, "10.0.0.2", 81));
  const json told = flows_told(commit(82, {{"established", "keep"}}));
  EXPECT_EQ(told["denied"], 4);
  EXPECT_EQ(told["kept"], 4);
  EXPECT_TRUE(status()["drain"].is_null()) << "nobody ends them any more";
  tick_in(seconds(61));
  EXPECT_EQ(flows(), 5U);
  EXPECT_EQ(flows_told(commit(83))["ended"], 4);
  EXPECT_EQ(flows(), 1U);
}

TEST_F(Fates, AreNotDecidedByAChangeThatChangesNothing) {
  commit(81, {{"established", "drain"}, {"drain_s", 60}});
  EXPECT_EQ((*commit(81))["changed"], false);
  EXPECT_EQ(status()["drain"]["revision"], 2);
  EXPECT_EQ(flows(), 4U);
}

/// An edit's denials reach idle flows at their next packets; a change that keeps must not save
/// those.
TEST_F(Fates, AreNoneOfFlowsThatWereDeniedAheadOfTheChange) {
  ASSERT_TRUE(call("edit", steps({writing("policy.set", policy_text({79}))})));
  EXPECT_EQ(flows(), 4U);
  const json told = flows_told(commit(81, {{"established", "keep"}}));
  EXPECT_EQ(told["denied"], 3);
  EXPECT_EQ(told["kept"], 0);
  EXPECT_EQ(flows(), 1U);
}

TEST_F(Fates, AreNotPromisedWhereAWorkerDoesNotAnswer) {
  publisher_.mute = true;
  const Answer refused = commit(81, {{"established", "keep"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, RpcCode::not_answered);
  EXPECT_EQ(status()["running"]["revision"], 1);
  EXPECT_TRUE(commit(81));
}

/// A trial that drains cuts off nobody whom its base allows.
TEST_F(Fates, OfATrialThatIsUndoneAreThoseOfItsBase) {
  commit(81, {{"established", "drain"}, {"drain_s", 900}, {"confirm_s", 600}});
  insert(tuple("10.0.0.1", 50'000, "10.0.0.2", 81));
  EXPECT_EQ(flows(), 5U);
  tick_in(seconds(601));
  const auto deadline = std::chrono::steady_clock::now() + seconds(20);
  while (status()["last_undone"].is_null() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(status()["running"]["rollback_to"], 1);
  EXPECT_TRUE(status()["drain"].is_null());
  EXPECT_EQ(publisher_.kept_before, 0U);
  EXPECT_EQ(flows(), 4U) << "all but the one that only the trial allowed";
}

TEST_F(Fates, OfATrialThatIsConfirmedStay) {
  commit(81, {{"established", "drain"}, {"drain_s", 900}, {"confirm_s", 600}});
  ASSERT_TRUE(call("confirm"));
  EXPECT_EQ(status()["drain"]["revision"], 2);
  EXPECT_EQ(flows(), 4U);
}

TEST_F(Fates, AreChosenByARollback) {
  commit(81, {{"established", "keep"}});
  insert(tuple("10.0.0.1", 50'000, "10.0.0.2", 81));
  const json told = flows_told(call("rollback", {{"established", "drain"}, {"drain_s", 10}}));
  EXPECT_EQ(told["denied"], 1);
  EXPECT_EQ(told["kept"], 1);
  EXPECT_EQ(status()["drain"]["revision"], 3);
}

TEST_F(Fates, AreRefusedInOtherWords) {
  for (const json& params : {json{{"established", "forget"}},
                             json{{"established", 5}},
                             json{{"drain_s", 60}},
                             json{{"established", "keep"}, {"drain_s", 60}},
                             json{{"established", "drain"}, {"drain_s", 0}},
                             json{{"established", "drain"}, {"drain_s", 604'801}},
                             json{{"established", "drain"}, {"drain_s", "5m"}}}) {
    const Answer refused = commit(81, params);
    ASSERT_FALSE(refused) << params;
    EXPECT_EQ(refused.error().code, RpcCode::invalid_params);
    const Answer rolled = call("rollback", params);
    ASSERT_FALSE(rolled) << params;
    EXPECT_EQ(rolled.error().message, refused.error().message);
  }
}

TEST_F(Fates, AreToldToPeople) {
  const Told drained =
      ask_commit(target(), shop({81}), {.established = {.word = {}, .drain_s = 300}});
  EXPECT_NE(drained.output.find("it denied 3 of those tracked; 3 go on for 5m0s, then they end"),
            std::string::npos)
      << drained.output << drained.trouble;
  EXPECT_NE(drained.output.find("Pod shop/web"), std::string::npos) << drained.output;
  const Told status = ask_status(target());
  EXPECT_NE(status.output.find("3 flows that revision 2 denies go on for "), std::string::npos)
      << status.output;
  const Told kept = ask_rollback(target(), std::nullopt, "", {.word = "keep"});
  EXPECT_NE(kept.output.find("is enforced"), std::string::npos) << kept.output << kept.trouble;
}

}  // namespace
}  // namespace portcullis::control
