// SPDX-License-Identifier: MIT
#include "control/change/trial.h"

#include <chrono>
#include <thread>

#include "tests/control/live_commands.h"

namespace portcullis::control {
namespace {

using nlohmann::json;
using std::chrono::seconds;

TEST(GuardWords, AreABoundOrAFactor) {
  const auto bound = Guard::parse("denied_per_second < 500");
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->limit(10'000), 500);
  const auto factor = Guard::parse(" denied_per_second<2.5x ");
  ASSERT_TRUE(factor);
  EXPECT_EQ(factor->text, "denied_per_second<2.5x");
  EXPECT_EQ(factor->limit(100), 250);
  EXPECT_EQ(factor->limit(0), 2.5);  // A quiet network counts as one packet a second.
}

TEST(GuardWords, NameWhatIsMeasuredAndWhere) {
  const auto resets = Guard::parse("resets_per_second < 5");
  ASSERT_TRUE(resets);
  EXPECT_EQ(resets->measure, Measure::resets);
  EXPECT_EQ(resets->scope, Guard::Scope::all);
  const auto shop = Guard::parse("denied_per_second{namespace=\"shop\"} < 2x");
  ASSERT_TRUE(shop);
  EXPECT_EQ(shop->measure, Measure::denied);
  EXPECT_EQ(shop->scope, Guard::Scope::one_namespace);
  EXPECT_EQ(shop->name_space, "shop");
  EXPECT_TRUE(shop->is_factor);
  const auto any = Guard::parse("resets_per_second { namespace = * }<7");
  ASSERT_TRUE(any) << any.error().message;
  EXPECT_EQ(any->scope, Guard::Scope::any_namespace);
  EXPECT_EQ(any->bound, 7);
}

TEST(GuardWords, SayWhatIsWrong) {
  for (const char* text : {"",
                           "denied_per_second",
                           "denied_per_second > 5",
                           "dropped_per_second < 5",
                           "denied_per_second{} < 5",
                           "denied_per_second{namespace} < 5",
                           "denied_per_second{namespace=shop} < 5",
                           "denied_per_second{namespace=\"\"} < 5",
                           "denied_per_second{namespace=\"a\"b\"} < 5",
                           "denied_per_second{pod=\"shop\"} < 5",
                           "denied_per_second{namespace=* < 5",
                           "denied_per_second}namespace=*{ < 5",
                           "{namespace=*} < 5",
                           "denied_per_second <",
                           "denied_per_second < x",
                           "denied_per_second < 0",
                           "denied_per_second < -1x",
                           "denied_per_second < nan",
                           "denied_per_second < inf",
                           "denied_per_second < 5 x"}) {
    const auto guard = Guard::parse(text);
    ASSERT_FALSE(guard) << text;
    for (const char* form : {"denied_per_second < 2x",
                             "resets_per_second",
                             "denied_per_second{namespace=\"shop\"} < 2x",
                             "{namespace=*}"}) {
      EXPECT_NE(guard.error().message.find(form), std::string::npos) << guard.error().message;
    }
  }
}

class TrialTime : public testing::Test {
 protected:
  static Revision revision(std::uint64_t number) { return {.number = number}; }
  void observe(std::uint64_t denied, Trial::Clock::time_point when) {
    trial_.observe({.all = {denied, 0}}, when);
  }
  /// Denied packets and resets in two namespaces.
  void observe(ByMeasure<std::uint64_t> shop,
               ByMeasure<std::uint64_t> bank,
               Trial::Clock::time_point when) {
    trial_.observe({.all = {shop[0] + bank[0], shop[1] + bank[1]},
                    .by_namespace = {{"shop", shop}, {"bank", bank}}},
                   when);
  }
  void begin_with(const char* guard) {
    trial_.begin(revision(2),
                 revision(1),
                 {.confirm_within = seconds(600), .guards = {*Guard::parse(guard)}},
                 at(10));
  }
  [[nodiscard]] Trial::Clock::time_point at(int s) const { return start_ + seconds(s); }

  const Trial::Clock::time_point start_ = Trial::Clock::now();
  Trial trial_;
};

TEST_F(TrialTime, RunsOutUnlessItEnds) {
  trial_.begin(revision(2), revision(1), {.confirm_within = seconds(60)}, at(0));
  EXPECT_EQ(trial_.left(at(10)), seconds(50));
  EXPECT_EQ(trial_.reason_to_undo(at(59)), std::nullopt);
  EXPECT_EQ(trial_.reason_to_undo(at(60)), "it was not confirmed within 1m0s");
  EXPECT_EQ(trial_.left(at(70)), seconds(0));
  trial_.end();
  EXPECT_FALSE(trial_.pending());
}

TEST_F(TrialTime, BeginsAnewFromTheSameBase) {
  trial_.begin(revision(2), revision(1), {.confirm_within = seconds(60)}, at(0));
  trial_.begin(revision(3), revision(2), {.confirm_within = seconds(60)}, at(50));
  EXPECT_EQ(trial_.tried().number, 3U);
  EXPECT_EQ(trial_.base().number, 1U);
  EXPECT_EQ(trial_.reason_to_undo(at(100)), std::nullopt);
  EXPECT_NE(trial_.reason_to_undo(at(110)), std::nullopt);
}

TEST_F(TrialTime, IsUndoneOnceAndTriedAgain) {
  trial_.begin(revision(2), revision(1), {.confirm_within = seconds(60)}, at(0));
  trial_.set_undoing();
  EXPECT_EQ(trial_.reason_to_undo(at(61)), std::nullopt);
  trial_.undoing_failed(at(62));
  EXPECT_EQ(trial_.reason_to_undo(at(63)), std::nullopt);
  EXPECT_NE(trial_.reason_to_undo(at(62) + Trial::kRetry), std::nullopt);
}

TEST_F(TrialTime, ComparesWhatIsDeniedWithBefore) {
  observe(0, at(0));
  observe(100, at(10));  // Ten a second.
  begin_with("denied_per_second < 3x");
  EXPECT_EQ(trial_.rates_before().all[0], 10);
  observe(100, at(11));
  observe(1000, at(12));  // A burst, too short to tell.
  EXPECT_EQ(trial_.reason_to_undo(at(12)), std::nullopt);
  observe(1000, at(44));  // The window has moved on.
  observe(1290, at(54));  // 29 a second.
  EXPECT_EQ(trial_.reason_to_undo(at(54)), std::nullopt);
  observe(1650, at(64));  // 36.
  const auto reason = trial_.reason_to_undo(at(64));
  ASSERT_TRUE(reason);
  EXPECT_NE(reason->find("guard \"denied_per_second < 3x\" tripped"), std::string::npos) << *reason;
}

TEST_F(TrialTime, LooksAtOneNamespaceAlone) {
  observe({0, 0}, {0, 0}, at(0));
  observe({100, 0}, {1000, 0}, at(10));  // 10 and 100 a second.
  begin_with("denied_per_second{namespace=\"shop\"} < 2x");
  observe({100, 0}, {1000, 0}, at(11));
  observe({190, 0}, {9000, 0}, at(16));  // 18 and 1600.
  EXPECT_EQ(trial_.reason_to_undo(at(16)), std::nullopt);
  observe({300, 0}, {9000, 0}, at(21));  // 20 in ten seconds.
  EXPECT_EQ(trial_.reason_to_undo(at(21)),
            "guard \"denied_per_second{namespace=\"shop\"} < 2x\" tripped: 20.0 a second, 10.0 "
            "before");
}

TEST_F(TrialTime, LooksAtEachNamespaceByItself) {
  observe({0, 0}, {0, 0}, at(0));
  observe({1000, 10}, {100, 20}, at(10));
  begin_with("resets_per_second{namespace=*} < 2x");
  observe({1000, 10}, {100, 20}, at(11));
  observe({9000, 19}, {900, 29}, at(16));  // 1.8 of each: once it was 1 and 2.
  EXPECT_EQ(trial_.reason_to_undo(at(16)), std::nullopt);
  const GuardFigure figure =
      figure_of(trial_.terms().guards.front(), *trial_.rates(), trial_.rates_before());
  EXPECT_EQ(figure.name_space, "shop") << "the one that is nearest its limit";
  EXPECT_EQ(figure.limit, 2);
  observe({9000, 19}, {900, 60}, at(21));  // 0.9 and 4.
  EXPECT_EQ(trial_.reason_to_undo(at(21)),
            "guard \"resets_per_second{namespace=*} < 2x\" tripped in bank: 4.0 a second, 2.0 "
            "before");
}

TEST_F(TrialTime, CountsANamespaceThatIsNewFromNothing) {
  trial_.observe({}, at(0));
  trial_.observe({}, at(10));
  begin_with("denied_per_second{namespace=*} < 2x");
  trial_.observe({}, at(11));
  EXPECT_EQ(trial_.reason_to_undo(at(11)), std::nullopt);
  trial_.observe({}, at(15));
  EXPECT_EQ(trial_.reason_to_undo(at(15)), std::nullopt) << "there is none yet";
  trial_.observe({.all = {20, 0}, .by_namespace = {{"new", {20, 0}}}}, at(21));
  const auto reason = trial_.reason_to_undo(at(21));
  ASSERT_TRUE(reason);
  EXPECT_NE(reason->find("tripped in new: 2.0 a second, 0.0 before"), std::string::npos) << *reason;
}

/// Over a whole control plane, with revision 1 in force.
class Trials : public LiveCommands {
 protected:
  Trials() { EXPECT_EQ(revision_of(commit({80})), 1); }

  Answer commit(const std::vector<int>& ports, json more = json::object()) {
    for (const policy::Manifest& one : shop(ports)) {
      more["manifests"].push_back({{"name", one.name}, {"text", one.text}});
    }
    return call("commit", more);
  }
  static int revision_of(const Answer& answer) {
    EXPECT_TRUE(answer) << (answer ? "" : answer.error().message);
    return answer ? (*answer)["revision"].get<int>() : 0;
  }
  static int code(const Answer& answer) {
    return answer ? 0 : static_cast<int>(answer.error().code);
  }
  void tick_in(seconds later) {
    server_.run([&] { changes_->tick(Trial::Clock::now() + later); });
  }
  /// The status, once the trial that must be undone is.
  json undone() {
    const auto deadline = std::chrono::steady_clock::now() + seconds(20);
    json status = *call("status");
    while (status["last_undone"].is_null() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      status = *call("status");
    }
    return status;
  }
};

TEST_F(Trials, AreConfirmed) {
  const Answer tried = commit({81}, {{"confirm_s", 600}});
  EXPECT_EQ(revision_of(tried), 2);
  EXPECT_EQ((*tried)["trial"]["base"], 1);
  EXPECT_EQ((*call("status"))["trial"]["revision"], 2);
  EXPECT_EQ(code(call("confirm", {{"revision", 1}})), -32015);
  EXPECT_EQ(revision_of(call("confirm", {{"revision", 2}})), 2);
  tick_in(seconds(700));
  const json status = *call("status");
  EXPECT_TRUE(status["trial"].is_null());
  EXPECT_EQ(status["running"]["revision"], 2);
  EXPECT_EQ(code(call("confirm")), -32015);
}

TEST_F(Trials, AreUndoneWhenNobodyConfirms) {
  const std::string digest = (*call("status"))["running"]["digest"];
  EXPECT_EQ(revision_of(commit({81}, {{"confirm_s", 600}})), 2);
  EXPECT_EQ(revision_of(commit({82}, {{"confirm_s", 600}})), 3);
  tick_in(seconds(500));
  EXPECT_EQ((*call("status"))["running"]["revision"], 3);
  tick_in(seconds(601));
  const json status = undone();
  EXPECT_EQ(status["running"]["revision"], 4);
  EXPECT_EQ(status["running"]["digest"], digest);
  EXPECT_EQ(status["running"]["rollback_to"], 1);
  EXPECT_EQ(status["last_undone"]["revision"], 3);
  EXPECT_EQ(status["last_undone"]["reason"], "it was not confirmed within 10m0s");
  EXPECT_TRUE(status["trial"].is_null());
  const Answer late = call("confirm");
  EXPECT_EQ(code(late), -32015);
  EXPECT_NE(late.error().message.find("revision 3 was undone"), std::string::npos);
}

TEST_F(Trials, AreUndoneByAGuard) {
  const auto start = Trial::Clock::now();
  server_.run([&] {
    changes_->tick(start);
    publisher_.denied += 10;
    changes_->tick(start + seconds(1));
  });
  const json terms = {{"confirm_s", 600}, {"guards", {"denied_per_second < 2x"}}};
  EXPECT_EQ(revision_of(commit({81}, terms)), 2);
  server_.run([&] {
    changes_->tick(start + seconds(2));
    publisher_.denied += 100;
    changes_->tick(start + seconds(4));  // Not settled.
  });
  EXPECT_EQ((*call("status"))["trial"]["revision"], 2);
  server_.run([&] { changes_->tick(start + seconds(6)); });
  const json status = undone();
  EXPECT_EQ(status["running"]["rollback_to"], 1);
  EXPECT_NE(status["last_undone"]["reason"].get<std::string>().find("tripped"), std::string::npos);
}

/// What policy shop/db's isolation denies, and resets of connections that its first rule allowed.
TEST_F(Trials, AreUndoneByAGuardOfANamespace) {
  const auto start = Trial::Clock::now();
  const json terms = {{"confirm_s", 600},
                      {"guards",
                       {"denied_per_second{namespace=\"bank\"} < 2x",
                        "denied_per_second{namespace=*} < 10",
                        "resets_per_second < 2x"}}};
  EXPECT_EQ(revision_of(commit({81}, terms)), 2);
  server_.run([&] {
    changes_->tick(start + seconds(1));
    publisher_.hits = {{.rule = classifier::rule_id(std::size_t{0}), .packets = 900, .resets = 4},
                       {.rule = classifier::rule_id(std::size_t{1}), .packets = 36}};
    publisher_.resets = 4;
    changes_->tick(start + seconds(5));
  });
  json trial = (*call("status"))["trial"];
  ASSERT_EQ(trial["figures"].size(), 3U) << trial;
  EXPECT_EQ(trial["figures"][0]["namespace"], "bank");
  EXPECT_EQ(trial["figures"][0]["per_second"], 0);
  EXPECT_EQ(trial["figures"][1]["namespace"], "shop");
  EXPECT_EQ(trial["figures"][1]["per_second"], 9);
  EXPECT_EQ(trial["figures"][1]["limit"], 10);
  EXPECT_EQ(trial["figures"][2]["per_second"], 1);
  EXPECT_TRUE(trial["figures"][2]["namespace"].is_null());
  const Told told = ask_status(target());
  EXPECT_NE(told.output.find("9.0 now in shop, 0.0 before, trips at 10.0"), std::string::npos)
      << told.output;
  server_.run([&] {
    publisher_.hits[1].packets += 54;
    changes_->tick(start + seconds(10));
  });
  const json status = undone();
  EXPECT_EQ(status["running"]["rollback_to"], 1);
  EXPECT_NE(status["last_undone"]["reason"].get<std::string>().find("tripped in shop"),
            std::string::npos)
      << status["last_undone"];
}

TEST_F(Trials, AreUndoneByResets) {
  const auto start = Trial::Clock::now();
  const json terms = {{"confirm_s", 600}, {"guards", {"resets_per_second < 2x"}}};
  EXPECT_EQ(revision_of(commit({81}, terms)), 2);
  server_.run([&] {
    changes_->tick(start + seconds(1));
    publisher_.resets = 8;
    changes_->tick(start + seconds(5));
  });
  EXPECT_EQ(undone()["running"]["rollback_to"], 1);
}

TEST_F(Trials, KeepOtherChangesOut) {
  EXPECT_EQ(revision_of(commit({81}, {{"confirm_s", 600}})), 2);
  const Answer refused = commit({82});
  EXPECT_EQ(code(refused), -32014);
  EXPECT_NE(refused.error().message.find("portcullis confirm"), std::string::npos);
  const json status = *call("status");
  EXPECT_EQ(status["running"]["revision"], 2);
  EXPECT_EQ(status["last_refused"]["message"], refused.error().message);
  EXPECT_EQ((*call("rollback"))["rollback_to"], 1);
  EXPECT_TRUE((*call("status"))["trial"].is_null());
  EXPECT_EQ(revision_of(commit({82})), 4);
}

TEST_F(Trials, GoBackToBeforeTheFirstOfThem) {
  EXPECT_EQ(revision_of(commit({81}, {{"confirm_s", 600}})), 2);
  EXPECT_EQ(revision_of(commit({82}, {{"confirm_s", 600}})), 3);
  EXPECT_EQ((*call("rollback"))["rollback_to"], 1);
}

TEST_F(Trials, AreTriedAgainWhereTheDataplaneRefuses) {
  EXPECT_EQ(revision_of(commit({81}, {{"confirm_s", 60}})), 2);
  server_.run([&] { publisher_.broken = true; });
  tick_in(seconds(61));
  EXPECT_EQ((*call("plan", {{"manifests", {{{"name", "a"}, {"text", ""}}}}}))["changed"], true);
  EXPECT_TRUE((*call("status"))["last_undone"].is_null());
  server_.run([&] { publisher_.broken = false; });
  tick_in(seconds(80));
  EXPECT_EQ(undone()["running"]["rollback_to"], 1);
}

TEST_F(Trials, OfNothingNewAreNone) {
  const Answer same = commit({80}, {{"confirm_s", 600}});
  EXPECT_EQ((*same)["changed"], false);
  EXPECT_TRUE((*same)["trial"].is_null());
}

TEST_F(Trials, RefuseWrongTerms) {
  for (const json& terms : {json{{"confirm_s", 0}},
                            json{{"confirm_s", -5}},
                            json{{"confirm_s", "10m"}},
                            json{{"confirm_s", 604'801}},
                            json{{"guards", json::array()}},
                            json{{"confirm_s", 5}, {"guards", "denied_per_second < 5"}},
                            json{{"confirm_s", 5}, {"guards", {5}}},
                            json{{"confirm_s", 5}, {"guards", {"calm"}}}}) {
    EXPECT_EQ(code(commit({81}, terms)), -32602) << terms;
  }
  EXPECT_EQ(code(call("confirm", {{"revision", "two"}})), -32602);
}

TEST_F(Trials, AreToldToPeople) {
  const Told tried =
      ask_commit(target(), shop({81}), {.confirm_s = 600, .guards = {"denied_per_second < 2x"}});
  EXPECT_NE(tried.output.find("on trial: revision 1 comes back in"), std::string::npos)
      << tried.output << tried.trouble;
  const Told status = ask_status(target());
  EXPECT_NE(status.output.find("denied_per_second < 2x: not measured yet, 0.0 before"),
            std::string::npos)
      << status.output;
  const Told kept = ask_confirm(target(), std::nullopt);
  EXPECT_NE(kept.output.find("revision 2 stays"), std::string::npos) << kept.output << kept.trouble;
  EXPECT_EQ(ask_confirm(target(), 2).exit_code, 2);
}

}  // namespace
}  // namespace portcullis::control
