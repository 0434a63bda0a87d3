// SPDX-License-Identifier: MIT
#include "control/commands.h"

#include <random>
#include <thread>

#include "tests/control/live_commands.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

/// With two revisions in its history.
class ControlPlane : public LiveCommands {
 protected:
  ControlPlane() {
    commit({80});
    commit({81});
  }

  Answer commit(const std::vector<int>& ports) {
    json manifests = json::array();
    for (const policy::Manifest& one : shop(ports)) {
      manifests.push_back({{"name", one.name}, {"text", one.text}});
    }
    return call("commit", {{"manifests", manifests}, {"comment", "port change"}});
  }
  static int code(const Answer& answer) {
    return answer ? 0 : static_cast<int>(answer.error().code);
  }
};

TEST_F(ControlPlane, SaysHello) {
  EXPECT_EQ((*call("hello", {{"protocol", 1}}))["protocol"], 1);
  EXPECT_EQ((*call("hello", {{"protocol", {1, 2}}}))["server"], "portcullisd");
  const Answer refused = call("hello", {{"protocol", 2}});
  EXPECT_EQ(code(refused), -32001);
  EXPECT_EQ(refused.error().details["supported"], json::array({1}));
}

TEST_F(ControlPlane, CommitsAndTells) {
  const Answer answer = commit({82});
  ASSERT_TRUE(answer);
  EXPECT_EQ((*answer)["revision"], 3);
  EXPECT_EQ((*answer)["changed"], true);
  EXPECT_EQ((*answer)["comment"], "port change");
  EXPECT_NE((*answer)["who"].get<std::string>().find("uid 0"), std::string::npos);
  EXPECT_EQ((*commit({82}))["changed"], false);
  EXPECT_EQ((*call("history"))["revisions"].size(), 3U);
  EXPECT_EQ((*call("history"))["revisions"][0]["revision"], 3);
}

TEST_F(ControlPlane, GivesDiagnosticsWithTheirPlaces) {
  const Answer answer = commit({70'000});
  EXPECT_EQ(code(answer), -32010);
  const json& first = answer.error().details["diagnostics"][0];
  EXPECT_EQ(first["file"], "policy.yaml");
  EXPECT_GT(first["line"], 0);
  EXPECT_GT(first["column"], 0);
  EXPECT_NE(first["field"].get<std::string>().find("spec.ingress[0]"), std::string::npos);
  EXPECT_EQ(first["severity"], "error");
  const json status = *call("status");
  EXPECT_EQ(status["running"]["revision"], 2);
  EXPECT_EQ(status["last_refused"]["message"], answer.error().message);
}

TEST_F(ControlPlane, RollsBack) {
  const Answer back = call("rollback");
  ASSERT_TRUE(back);
  EXPECT_EQ((*back)["revision"], 3);
  EXPECT_EQ((*back)["rollback_to"], 1);
  EXPECT_EQ((*call("rollback", {{"revision", 2}}))["revision"], 4);
  EXPECT_EQ(code(call("rollback", {{"revision", 77}})), -32011);
  EXPECT_EQ(code(call("rollback", {{"revision", "two"}})), -32602);
  EXPECT_EQ(code(call("rollback", {{"revision", -1}})), -32602);
}

TEST_F(ControlPlane, ReportsAPublisherThatRefuses) {
  publisher_.broken = true;
  EXPECT_EQ(code(commit({83})), -32012);
  EXPECT_EQ((*call("status"))["running"]["revision"], 2);
}

TEST_F(ControlPlane, TellsItsStatus) {
  const json status = *call("status");
  EXPECT_EQ(status["default_mode"], "kubernetes");
  EXPECT_EQ(status["running"]["counts"]["pods"], 2);
  EXPECT_GT(status["running"]["table"]["bytes"], 0);
  EXPECT_EQ(status["ports"][0]["link"], "up");
  EXPECT_EQ(status["workers"][0]["drops"]["POLICY_DENIED"], 4);
  EXPECT_EQ(status["drops"]["POLICY_DENIED"], 4);
  EXPECT_EQ(status["conntrack"]["flows"], 3);
  EXPECT_TRUE(status["last_refused"].is_null());
}

TEST_F(ControlPlane, TellsHowMuchIsLeftOfWhatHasALimit) {
  const json status = *call("status");
  const json& limits = status["limits"];
  EXPECT_EQ(limits["table_bytes"]["used"], status["running"]["table"]["bytes"]);
  EXPECT_EQ(limits["table_bytes"]["limit"], std::size_t{1} << 30U);
  EXPECT_EQ(limits["flows"], json({{"used", 3}, {"limit", 65'536}}));
  EXPECT_EQ(limits["ports"], json({{"used", 1}, {"limit", 256}}));
  EXPECT_EQ(limits["port_addresses"], json({{"used", 0}, {"limit", 1024}}));
  EXPECT_EQ(limits["revisions"], json({{"used", 2}, {"limit", 16}}));
  EXPECT_EQ(limits["changes"], json({{"used", 0}, {"limit", 32}}));
}

TEST_F(ControlPlane, TellsWhatPolicyDoesNotReach) {
  EXPECT_EQ((*call("status"))["unselected"]["total"], 0);
  std::string idle = policy_text({80}, "idle");
  idle.replace(idle.find("app: db"), 7, "app: xx");
  const std::string late =
      "apiVersion: v1\nkind: Pod\nmetadata: {name: late, namespace: shop}\nspec: {nodeName: n1}\n";
  const json manifests = {{{"name", "pods.yaml"}, {"text", two_pods() + "---\n" + late}},
                          {{"name", "idle.yaml"}, {"text", idle}}};
  ASSERT_TRUE(call("commit", {{"manifests", manifests}}));
  const json status = *call("status");
  EXPECT_EQ(status["unselected"]["total"], 1);
  EXPECT_EQ(status["unselected"]["policies"][0]["policy"], "shop/idle");
  EXPECT_EQ(status["unselected"]["policies"][0]["file"], "idle.yaml");
  EXPECT_EQ(status["unmanaged"]["pods"],
            json::array({{{"pod", "shop/late"}, {"reason", "no_address"}}}));
  const std::string text = ask_status(target()).output;
  EXPECT_NE(text.find("1 policy selects no pod: shop/idle (idle.yaml:"), std::string::npos) << text;
  EXPECT_NE(text.find("1 without an address (shop/late)"), std::string::npos) << text;
  EXPECT_NE(text.find("of 1024 MiB, changes 0 of 32, port addresses 0 of 1024, ports 1 of 256"),
            std::string::npos)
      << text;
}

TEST_F(ControlPlane, TellsWhoseLinkItIs) {
  publisher_.port.partner_down = "outside";
  publisher_.port.link_up = false;
  publisher_.port.taken_down = true;
  EXPECT_EQ((*call("status"))["ports"][0]["down_as"], "outside");
  EXPECT_NE(ask_status(target()).output.find("down, as outside is"), std::string::npos);
}

TEST_F(ControlPlane, TellsOfALinkThatCannotFollow) {
  publisher_.port.partner_down = "outside";
  EXPECT_EQ((*call("status"))["ports"][0]["cannot_follow"], "outside");
  EXPECT_NE(ask_status(target()).output.find("up, though outside is down"), std::string::npos);
}

TEST_F(ControlPlane, Explains) {
  const json denied = *call("explain", {{"from", "shop/web"}, {"to", "shop/db"}, {"port", 80}});
  EXPECT_EQ(denied["allowed"], false);
  EXPECT_NE(denied["text"].get<std::string>().find("policy.yaml"), std::string::npos);
  EXPECT_TRUE(denied["explanation"].is_object());
  const json allowed = *call("explain", {{"from", "shop/web"}, {"to", "shop/db"}, {"port", 81}});
  EXPECT_EQ(allowed["allowed"], true);
}

TEST_F(ControlPlane, RefusesWrongParameters) {
  EXPECT_EQ(code(call("explain", {{"from", "shop/web"}})), -32602);
  EXPECT_EQ(code(call("explain", {{"from", "shop/no"}, {"to", "shop/db"}, {"port", 1}})), -32602);
  EXPECT_EQ(code(call("explain", {{"from", "a"}, {"to", "b"}, {"port", 70'000}})), -32602);
  EXPECT_EQ(code(call("explain", {{"from", "a"}, {"to", "b"}, {"protocol", "XYZ"}})), -32602);
  EXPECT_EQ(code(call("commit")), -32602);
  EXPECT_EQ(code(call("commit", {{"manifests", json::array()}})), -32602);
  EXPECT_EQ(code(call("commit", {{"manifests", json::array({1})}})), -32602);
  const json trick = {{"name", "a\n[info] all is well"}, {"text", ""}};
  EXPECT_EQ(code(call("commit", {{"manifests", {trick}}})), -32602);
  const json good = {{"name", "a"}, {"text", ""}};
  EXPECT_EQ(code(call("commit", {{"manifests", {good}}, {"comment", "\x1b[2J"}})), -32602);
  EXPECT_EQ(code(call("status", {{"verbose", true}})), -32602);
  EXPECT_EQ(code(call("dance")), -32601);
}

TEST_F(ControlPlane, AnswersTenKindsOfGarbageAndGoesOn) {
  std::mt19937_64 random(7);
  std::string noise(5000, '\0');
  for (char& byte : noise) {
    byte = static_cast<char>(random());
    byte = byte == '\n' ? ' ' : byte;
  }
  const std::vector<std::pair<std::string, std::string>> garbage{
      {"GET / HTTP/1.1", "-32700"},
      {noise, "-32700"},
      {std::string(100'000, '['), "-32700"},
      {R"({"jsonrpc":"2.0","id":1,"method":"sta)", "-32700"},
      {"[]", "-32600"},
      {"\"status\"", "-32600"},
      {R"({"jsonrpc":"2.0","id":[1],"method":"status"})", "-32600"},
      {R"({"jsonrpc":"2.0","id":1,"method":"status","params":[]})", "-32602"},
      {R"({"jsonrpc":"2.0","id":1,"method":"\u0000"})", "-32601"},
      {R"({"jsonrpc":"2.0","id":1,"method":"status","protocol":{}})", "-32001"},
      {std::string(200'000, '{'), "-32700"},
  };
  Client client = server_.connect();
  for (const auto& [message, expected] : garbage) {
    ASSERT_TRUE(client.send(message));
    const auto line = client.receive();
    ASSERT_TRUE(line) << message.substr(0, 50);
    EXPECT_NE(line->find(expected), std::string::npos) << *line;
  }
  EXPECT_TRUE(*client.call("status", json::object()));
}

TEST_F(ControlPlane, GivesNotificationsNoAnswer) {
  Client client = server_.connect();
  ASSERT_TRUE(client.send(R"({"jsonrpc":"2.0","method":"dance"})"));
  const auto answer = client.call("history", json::object());
  ASSERT_TRUE(answer);
  EXPECT_TRUE((**answer).contains("revisions"));
}

TEST_F(ControlPlane, SerializesCommitsOfManyClients) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this, i] {
      for (int n = 0; n < 5; ++n) {
        EXPECT_TRUE(commit({1000 + i * 10 + n}));
        EXPECT_TRUE(call("status"));
      }
    });
  }
  threads.clear();
  const json history = *call("history");
  EXPECT_EQ(history["revisions"][0]["revision"], 42);
  EXPECT_EQ(publisher_.published, 42U);
}

TEST_F(ControlPlane, FinishesACommitWhoseClientIsGone) {
  {
    Client client = server_.connect();
    json manifests = json::array();
    for (const policy::Manifest& one : shop({99})) {
      manifests.push_back({{"name", one.name}, {"text", one.text}});
    }
    ASSERT_TRUE(client.send(request_line(1, "commit", {{"manifests", manifests}})));
  }
  for (int i = 0; i < 1500 && (*call("status"))["running"]["revision"] != 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ((*call("status"))["running"]["revision"], 3);
}

TEST_F(ControlPlane, SpeaksToTheCommandLine) {
  const Told status = ask_status(target());
  EXPECT_EQ(status.exit_code, 0) << status.trouble;
  EXPECT_NE(status.output.find("POLICY_DENIED 4"), std::string::npos) << status.output;
  const Told denied = ask_explain(target(), {"shop/web", "shop/db", "TCP", "80"});
  EXPECT_EQ(denied.exit_code, 1) << denied.trouble;
  const Told allowed = ask_explain(target(true), {"shop/web", "shop/db", "TCP", "81"});
  EXPECT_EQ(allowed.exit_code, 0) << allowed.trouble;
  EXPECT_TRUE(json::parse(allowed.output).is_object());
  const Told back = ask_rollback(target(), 1, "undo");
  EXPECT_NE(back.output.find("revision 3 (the content of 1)"), std::string::npos) << back.output;
  const Told history = ask_history(target());
  EXPECT_NE(history.output.find("rollback to 1: undo"), std::string::npos) << history.output;
  const Told wrong = ask_commit(target(), shop({70'000}), {});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_EQ(wrong.trouble.find("policy.yaml:"), 0U) << wrong.trouble;
  EXPECT_EQ(ask_status({.socket = "/nonexistent/s"}).exit_code, 2);
}

}  // namespace
}  // namespace portcullis::control
