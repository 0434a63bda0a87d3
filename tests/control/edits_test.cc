// SPDX-License-Identifier: MIT
// Single objects through the control socket: what they change, and what is said of them.
#include <chrono>
#include <cstdint>
#include <future>
#include <string>
#include <thread>

#include "classifier/lookup.h"
#include "tests/control/edit_words.h"
#include "tests/control/live_commands.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

/// web may talk to db on port 80, and nobody else to db. Revision 1.
class Edits : public LiveCommands {
 protected:
  Edits() {
    json manifests = json::array();
    for (const policy::Manifest& one : shop({80})) {
      manifests.push_back({{"name", one.name}, {"text", one.text}});
    }
    PORTCULLIS_CHECK(call("commit", {{"manifests", manifests}}));
  }

  Answer edit(std::initializer_list<json> list) { return call("edit", steps(list)); }
  [[nodiscard]] bool allows(const std::string& from, const std::string& to, std::uint16_t port) {
    return classifier::lookup(*publisher_.running,
                              {.src = *parse_ip(from),
                               .dst = *parse_ip(to),
                               .protocol = classifier::kProtocolTcp,
                               .src_port = 40'000,
                               .dst_port = port})
        .allowed();
  }
  [[nodiscard]] json history() { return (*call("history"))["revisions"]; }
};

TEST_F(Edits, LetAPodInLikeItsSiblings) {
  EXPECT_FALSE(allows("10.0.0.9", "10.0.0.2", 80));
  const Answer added = edit({writing("pod.add", pod_text("web-7", "web", "10.0.0.9"))});
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_EQ((*added)["revision"], 2);
  EXPECT_EQ((*added)["changed"], true);
  EXPECT_EQ((*added)["edits"], 1);
  EXPECT_EQ((*added)["counts"]["pods"], 3);
  EXPECT_EQ((*added)["comment"], "one of many");
  EXPECT_GT((*added)["took_us"], 0);
  EXPECT_EQ((*added)["way"].get<std::string>().find("anew"), std::string::npos);
  EXPECT_TRUE(allows("10.0.0.9", "10.0.0.2", 80));
  EXPECT_FALSE(allows("10.0.0.9", "10.0.0.2", 81));
  const Answer removed = edit({removing("pod.remove", "shop/web-7")});
  ASSERT_TRUE(removed);
  EXPECT_FALSE(allows("10.0.0.9", "10.0.0.2", 80));
  EXPECT_EQ((*removed)["digest"], history()[1]["digest"]);
}

TEST_F(Edits, TakePodsOfNewLabelsAndPolicies) {
  const Answer added = edit({writing("pod.add", pod_text("cache", "cache", "10.0.0.9"))});
  ASSERT_TRUE(added);
  EXPECT_EQ((*added)["way"].get<std::string>().find("anew"), std::string::npos);
  EXPECT_FALSE(allows("10.0.0.9", "10.0.0.2", 80));
  const Answer changed = edit({writing("policy.set", policy_text({81}))});
  ASSERT_TRUE(changed);
  EXPECT_EQ((*changed)["way"], "rows");
  EXPECT_EQ((*changed)["counts"]["rules"], (*added)["counts"]["rules"]);
  EXPECT_FALSE(allows("10.0.0.1", "10.0.0.2", 80));
  EXPECT_TRUE(allows("10.0.0.1", "10.0.0.2", 81));
  const Answer removed = edit({removing("policy.remove", "shop/db")});
  ASSERT_TRUE(removed);
  EXPECT_EQ((*removed)["counts"]["policies"], 0);
  EXPECT_EQ((*removed)["counts"]["rules"], 0);
  EXPECT_TRUE(allows("10.0.0.9", "10.0.0.2", 4)) << "by default, without a policy";
}

TEST_F(Edits, CompileWhatNobodyHasAskedForYet) {
  const std::string text =
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
      "metadata: {name: tiers, namespace: shop}\n"
      "spec: {podSelector: {matchLabels: {tier: front}}, policyTypes: [Ingress]}\n";
  const Answer added = edit({writing("policy.add", text)});
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_EQ((*added)["way"],
            "compiled anew: NetworkPolicy shop/tiers is the first that asks for label tier");
  EXPECT_EQ((*call("status"))["unselected"]["total"], 1);
  ASSERT_TRUE(edit({removing("policy.remove", "shop/tiers")}));
  EXPECT_EQ((*call("status"))["unselected"]["total"], 0);
  const Answer again = edit({writing("policy.add", text)});
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)["way"].get<std::string>().find("anew"), std::string::npos);
  EXPECT_NE((*again)["warnings"].dump().find("shop/tiers (edit.yaml:1"), std::string::npos)
      << (*again)["warnings"];
  EXPECT_EQ((*call("status"))["unselected"]["total"], 1);
}

TEST_F(Edits, MoveAnAddressFromPodToPodInOneBatch) {
  const Answer taken = edit({writing("pod.add", pod_text("web-7", "web", "10.0.0.1"))});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, RpcCode::rejected);
  EXPECT_NE(taken.error().message.find("address 10.0.0.1 is shop/web's"), std::string::npos)
      << taken.error().message;
  EXPECT_NE(taken.error().message.find("edit.yaml:1"), std::string::npos);
  ASSERT_TRUE(edit({removing("pod.remove", "shop/web"),
                    writing("pod.add", pod_text("web-7", "web", "10.0.0.1"))}));
  EXPECT_TRUE(allows("10.0.0.1", "10.0.0.2", 80));
}

TEST_F(Edits, AreAllOrNothing) {
  const std::uint64_t published = publisher_.published;
  const Answer refused = edit({writing("pod.add", pod_text("web-7", "web", "10.0.0.9")),
                               removing("pod.remove", "shop/nobody")});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "not enforceable: 1 error, the first is : error: there is no Pod shop/nobody");
  EXPECT_EQ(publisher_.published, published);
  EXPECT_FALSE(allows("10.0.0.9", "10.0.0.2", 80));
  EXPECT_EQ((*call("status"))["last_refused"]["message"], refused.error().message);
  EXPECT_EQ(history().size(), 1U);
}

TEST_F(Edits, SayWhatIsWrongWithTheirWords) {
  for (const json& wrong : {json{{"steps", json::array()}},
                            json{{"steps", 1}},
                            json::object(),
                            steps({{{"do", "pod.grow"}}}),
                            steps({{{"do", "pod.add"}}}),
                            steps({removing("pod.add", "shop/web")}),
                            steps({{{"do", "pod.remove"}, {"names", {1}}}}),
                            steps({{{"do", "pod.remove"}, {"names", {"a/b"}}, {"more", 1}}})}) {
    const Answer answer = call("edit", wrong);
    ASSERT_FALSE(answer) << wrong;
    EXPECT_EQ(answer.error().code, RpcCode::invalid_params) << wrong;
  }
  EXPECT_NE(call("edit", steps({{{"do", "pod.grow"}}})).error().message.find("steps[0]"),
            std::string::npos);
}

TEST_F(Edits, ChangeNothingWhereAllIsSoAlready) {
  const std::uint64_t published = publisher_.published;
  const Answer same = edit({writing("policy.set", policy_text({80}))});
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_EQ((*same)["changed"], false);
  EXPECT_EQ((*same)["revision"], 1);
  EXPECT_EQ(publisher_.published, published);
}

TEST_F(Edits, OfPodsAreOneEntryOfTheHistory) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(edit({writing("pod.set", pod_text("web-7", "web", fmt::format("10.0.1.{}", i)))}));
  }
  json entries = history();
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0]["revision"], 21);
  EXPECT_EQ(entries[0]["batches"], 20);
  EXPECT_EQ(entries[1]["revision"], 1);
  ASSERT_TRUE(edit({writing("policy.set", policy_text({81}))}));
  ASSERT_TRUE(edit({removing("pod.remove", "shop/web-7")}));
  entries = history();
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries[0]["batches"], 1);
  EXPECT_FALSE(entries[1].contains("batches"));
}

TEST_F(Edits, AreUndone) {
  ASSERT_TRUE(edit({writing("pod.add", pod_text("web-7", "web", "10.0.0.9"))}));
  ASSERT_TRUE(edit({writing("pod.add", pod_text("web-8", "web", "10.0.0.10"))}));
  ASSERT_TRUE(edit({writing("policy.set", policy_text({81}))}));
  const Answer back = call("rollback");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ((*back)["rollback_to"], 3);
  EXPECT_TRUE(allows("10.0.0.10", "10.0.0.2", 80));
  ASSERT_TRUE(call("rollback", {{"revision", 1}}));
  EXPECT_FALSE(allows("10.0.0.9", "10.0.0.2", 80));
  EXPECT_TRUE(allows("10.0.0.1", "10.0.0.2", 80));
  ASSERT_TRUE(edit({writing("pod.add", pod_text("web-9", "web", "10.0.0.9"))}));
  EXPECT_TRUE(allows("10.0.0.9", "10.0.0.2", 80));
}

TEST_F(Edits, LeaveTheRevisionAheadOfThemAsItWas) {
  ASSERT_TRUE(edit({writing("policy.set", policy_text({81}))}));
  const json before = (*call("status"))["running"];
  ASSERT_TRUE(edit({writing("pod.add", pod_text("web-7", "web", "10.0.0.9"))}));
  EXPECT_EQ((*call("show", {{"revision", 2}}))["objects_total"], 4);
  EXPECT_EQ((*call("diff"))["changes"][0]["name"], "shop/web-7");
  const Answer back = call("rollback");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ((*back)["digest"], before["digest"]);
  EXPECT_FALSE(allows("10.0.0.9", "10.0.0.2", 81));
}

TEST_F(Edits, AreNotUndoneByARollbackToWhatIsGoneAtItsTurn) {
  ASSERT_TRUE(edit({writing("pod.add", pod_text("web-7", "web", "10.0.0.9"))}));
  std::promise<void> go_on;
  server_.run(
      [&] { server_.lane().run([held = go_on.get_future().share()] { held.wait(); }, [] {}); });
  Client changes = server_.connect();
  ASSERT_TRUE(changes.submit("edit", steps({removing("pod.remove", "shop/web-7")})));
  while ((*call("status"))["limits"]["changes"]["used"] == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  Client goes_back = server_.connect();
  ASSERT_TRUE(goes_back.submit("rollback", {{"revision", 2}}));
  while ((*call("status"))["limits"]["changes"]["used"] == 1) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  go_on.set_value();
  EXPECT_TRUE(changes.take().value().has_value()) << "revision 3, which stands for 2 as well";
  const Answer refused = goes_back.take().value();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, RpcCode::unknown_revision);
  EXPECT_EQ((*call("status"))["running"]["revision"], 3);
}

TEST_F(Edits, AreExplainedAndShown) {
  ASSERT_TRUE(edit({writing("pod.add", pod_text("web-7", "web", "10.0.0.9"))}));
  const json explained =
      *call("explain", {{"from", "shop/web-7"}, {"to", "shop/db"}, {"port", 80}});
  EXPECT_EQ(explained["allowed"], true);
  EXPECT_EQ(explained["revision"], 2);
  EXPECT_NE(explained["text"].get<std::string>().find("shop/web-7"), std::string::npos);
  EXPECT_NE(explained["text"].get<std::string>().find("policy.yaml"), std::string::npos);
  EXPECT_EQ((*call("show"))["objects_total"], 5);
  EXPECT_EQ((*call("show", {{"revision", 0}}))["revision"], 2);
  const json diff = *call("diff");
  ASSERT_EQ(diff["changes"].size(), 1U);
  EXPECT_EQ(diff["changes"][0]["name"], "shop/web-7");
  EXPECT_EQ(diff["changes"][0]["change"], "added");
  EXPECT_EQ((*call("conntrack.list", {{"from", "shop/web-7"}}))["matched"], 0);
}

TEST_F(Edits, KeepTheCountsOfRules) {
  ASSERT_TRUE(edit({writing("pod.add", pod_text("web-7", "web", "10.0.0.9"))}));
  publisher_.hits = {{.rule = classifier::kBuiltinRules, .packets = 7}};
  const json before = (*call("status"))["rules"];
  ASSERT_TRUE(edit({removing("pod.remove", "shop/web-7")}));
  EXPECT_EQ((*call("status"))["rules"], before);
  EXPECT_EQ(before[0]["packets"], 7);
}

TEST_F(Edits, OfPoliciesAreCountedByTheirRules) {
  ASSERT_TRUE(edit({writing("policy.set", policy_text({80, 81}))}));
  publisher_.hits = {{.rule = classifier::kBuiltinRules, .packets = 7},
                     {.rule = classifier::kBuiltinRules + 1, .packets = 2}};
  const json before = (*call("status"))["rules"];
  ASSERT_TRUE(edit({writing("policy.set", policy_text({80}))}));
  const json after = (*call("status"))["rules"];
  // The rule for port 80 stays as it was, the one for 81 is gone.
  EXPECT_EQ(before.size(), 2U);
  ASSERT_EQ(after.size(), 1U) << after;
  EXPECT_EQ(after[0], before[0]);
  const json explained = *call("explain", {{"from", "shop/web"}, {"to", "shop/db"}, {"port", 81}});
  EXPECT_EQ(explained["allowed"], false);
  EXPECT_NE(explained["text"].get<std::string>().find("on TCP 80, not on TCP 81"),
            std::string::npos)
      << explained["text"];
}

TEST_F(Edits, OfPodsLeaveTheEntriesAheadAsTheyWere) {
  ASSERT_TRUE(edit({writing("policy.set", policy_text({81}))}));
  ASSERT_TRUE(edit({writing("pod.add", pod_text("web-7", "web", "10.0.0.9"))}));
  ASSERT_TRUE(edit({writing("policy.set", policy_text({82}))}));
  ASSERT_TRUE(edit({removing("pod.remove", "shop/web-7")}));
  ASSERT_TRUE(call("rollback", {{"revision", 2}}));
  EXPECT_FALSE(allows("10.0.0.9", "10.0.0.2", 81));
  EXPECT_TRUE(allows("10.0.0.1", "10.0.0.2", 81));
  ASSERT_TRUE(call("rollback", {{"revision", 4}}));
  EXPECT_TRUE(allows("10.0.0.9", "10.0.0.2", 82));
}

TEST_F(Edits, GiveWayToATrial) {
  json manifests = json::array();
  for (const policy::Manifest& one : shop({82})) {
    manifests.push_back({{"name", one.name}, {"text", one.text}});
  }
  ASSERT_TRUE(call("commit", {{"manifests", manifests}, {"confirm_s", 600}}));
  const Answer refused = edit({removing("pod.remove", "shop/web")});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, RpcCode::on_trial);
  ASSERT_TRUE(call("rollback"));
  EXPECT_TRUE(edit({removing("pod.remove", "shop/web")}));
}

TEST_F(Edits, LeaveNoTraceOfWhatCouldNotBePublished) {
  ASSERT_TRUE(edit({writing("pod.add", pod_text("web-7", "web", "10.0.0.9"))}));
  publisher_.broken = true;
  const Answer refused = edit({writing("pod.add", pod_text("web-8", "web", "10.0.0.10"))});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, RpcCode::not_published);
  EXPECT_FALSE(allows("10.0.0.10", "10.0.0.2", 80)) << "the running table has it all the same";
  EXPECT_FALSE(edit({writing("policy.set", policy_text({81})),
                     writing("pod.add", pod_text("cache", "cache", "10.0.0.11"))}));
  EXPECT_TRUE(allows("10.0.0.9", "10.0.0.2", 80));
  publisher_.broken = false;
  ASSERT_TRUE(edit({writing("pod.add", pod_text("web-8", "web", "10.0.0.10"))}));
  EXPECT_TRUE(allows("10.0.0.10", "10.0.0.2", 80));
  EXPECT_FALSE(allows("10.0.0.10", "10.0.0.2", 81));
}

TEST_F(Edits, AreSaidByTheCommand) {
  EditWords words{.step = "pod.add",
                  .manifests = {{"web.yaml", pod_text("web-7", "web", "10.0.0.9")}}};
  const Told added = ask_edit(target(), words);
  EXPECT_EQ(added.exit_code, 0) << added.trouble;
  EXPECT_TRUE(added.output.starts_with("revision 2: 1 object, in force after ")) << added.output;
  words.step = "pod.set";
  EXPECT_EQ(ask_edit(target(), words).output, "nothing changed: revision 2 says so already\n");
  const Told removed =
      ask_edit(target(), {.step = "pod.remove", .names = {"shop/web-7", "shop/web-8"}});
  EXPECT_EQ(removed.exit_code, 2);
  EXPECT_NE(removed.trouble.find("there is no Pod shop/web-8"), std::string::npos);
}

}  // namespace
}  // namespace portcullis::control
