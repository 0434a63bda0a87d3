// SPDX-License-Identifier: MIT
#include "control/change/open_changes.h"

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "tests/control/edit_words.h"
#include "tests/control/live_commands.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

json commit_of(int port, const std::string& comment = "one of many") {
  json params = {{"comment", comment}};
  for (const policy::Manifest& one : shop({port})) {
    params["manifests"].push_back({{"name", one.name}, {"text", one.text}});
  }
  return params;
}

/// Two changes may be open, and the lane may be made to wait.
class OpenChangesOf : public LiveCommands {
 protected:
  OpenChangesOf() {
    config_.control.changes_max = 2;
    PORTCULLIS_CHECK(call("commit", commit_of(80)));
  }

  void hold_the_lane() {
    server_.run([this] {
      server_.lane().run([held = go_on_.get_future().share()] { held.wait(); }, [] {});
    });
  }
  /// A client whose change waits.
  Client waiting(int port) {
    const json before = used();
    Client client = server_.connect();
    PORTCULLIS_CHECK(client.submit("commit", commit_of(port)));
    while (used() == before) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return client;
  }
  json used() { return (*call("status"))["limits"]["changes"]["used"]; }

  std::promise<void> go_on_;
};

TEST_F(OpenChangesOf, AreSoManyAtMost) {
  hold_the_lane();
  Client first = waiting(81);
  Client second = waiting(82);
  EXPECT_EQ((*call("status"))["limits"]["changes"], json({{"used", 2}, {"limit", 2}}));
  Client third = server_.connect();
  for (const auto& [method, params] :
       {std::pair("commit", commit_of(83)),
        std::pair("plan", json{{"manifests", json::array()}}),
        std::pair("edit", steps({removing("pod.remove", "shop/web")})),
        std::pair("rollback", json::object()),
        std::pair("confirm", json::object())}) {
    const Answer refused = *third.call(method, params);
    ASSERT_FALSE(refused) << method;
    EXPECT_EQ(refused.error().code, RpcCode::changes_wait) << method;
    EXPECT_NE(refused.error().message.find("control.changes_max"), std::string::npos);
  }
  // Questions are answered all the while.
  EXPECT_TRUE(*third.call("history", json::object()));
  go_on_.set_value();
  EXPECT_TRUE(first.take().value().has_value());
  EXPECT_TRUE(second.take().value().has_value());
  EXPECT_EQ(used(), 0);
  EXPECT_TRUE(*third.call("commit", commit_of(83)));
  EXPECT_EQ((*call("status"))["running"]["revision"], 4) << "what was refused changed nothing";
}

TEST_F(OpenChangesOf, HaveTheirPlaceWhileTheirMessageIsRead) {
  hold_the_lane();
  const json large = commit_of(81, std::string(100'000, 'x'));
  std::vector<Client> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(server_.connect());
    ASSERT_TRUE(clients.back().submit("commit", large));
  }
  while (used() != 2) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const Answer refused = call("commit", large);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, RpcCode::changes_wait);
  go_on_.set_value();
  for (Client& client : clients) {
    const Answer answer = client.take().value();
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, RpcCode::invalid_params) << "the comment is too long";
  }
  EXPECT_EQ(used(), 0);
}

TEST_F(OpenChangesOf, FreeTheirPlaceAheadOfTheAnswer) {
  Client client = server_.connect();
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(client.submit(i % 3 == 0 ? "plan" : "commit", i % 3 == 1 ? json() : commit_of(i)));
  }
  while (client.pending() > 0) {
    const Answer answer = client.take().value();
    EXPECT_TRUE(answer || answer.error().code != RpcCode::changes_wait);
  }
  EXPECT_EQ(used(), 0);
}

TEST_F(OpenChangesOf, AreOpenUntilTheyAreDoneWhoeverHangsUp) {
  hold_the_lane();
  { const Client gone = waiting(81); }
  EXPECT_EQ(used(), 1);
  go_on_.set_value();
  while (used() != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ((*call("status"))["running"]["revision"], 2);
}

}  // namespace
}  // namespace portcullis::control
