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

TEST(GuardWords, SayWhatIsWrong) {
  for (const char* text : {"",
                           "denied_per_second",
                           "denied_per_second > 5",
                           "resets_per_second < 5",
                           "denied_per_second <",
                           "denied_per_second < x",
                           "denied_per_second < 0",
                           "denied_per_second < -1x",
                           "denied_per_second < nan",
                           "denied_per_second < inf",
                           "denied_per_second < 5 x"}) {
    const auto guard = Guard::parse(text);
    ASSERT_FALSE(guard) << text;
    EXPECT_NE(guard.error().message.find("denied_per_second < 2x"), std::string::npos)
        << guard.error().message;
  }
}

class TrialTime : public testing::Test {
 protected:
  static Revision revision(std::uint64_t number) { return {.number = number}; }
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
  trial_.observe(0, at(0));
  trial_.observe(100, at(10));  // Ten a second.
  trial_.begin(
      revision(2),
      revision(1),
      {.confirm_within = seconds(600), .guards = {*Guard::parse("denied_per_second < 3x")}},
      at(10));
  EXPECT_EQ(trial_.denied_before(), 10);
  trial_.observe(100, at(11));
  trial_.observe(1000, at(12));  // A burst, too short to tell.
  EXPECT_EQ(trial_.reason_to_undo(at(12)), std::nullopt);
  trial_.observe(1000, at(44));  // The window has moved on.
  trial_.observe(1290, at(54));  // 29 a second.
  EXPECT_EQ(trial_.reason_to_undo(at(54)), std::nullopt);
  trial_.observe(1650, at(64));  // 36.
  const auto reason = trial_.reason_to_undo(at(64));
  ASSERT_TRUE(reason);
  EXPECT_NE(reason->find("guard \"denied_per_second < 3x\" tripped"), std::string::npos) << *reason;
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
  EXPECT_NE(status.output.find("guard denied_per_second < 2x"), std::string::npos) << status.output;
  const Told kept = ask_confirm(target(), std::nullopt);
  EXPECT_NE(kept.output.find("revision 2 stays"), std::string::npos) << kept.output << kept.trouble;
  EXPECT_EQ(ask_confirm(target(), 2).exit_code, 2);
}

}  // namespace
}  // namespace portcullis::control
