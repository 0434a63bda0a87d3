// SPDX-License-Identifier: MIT
#include "control/client.h"

#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include <sys/socket.h>
#include <sys/un.h>

#include "tests/control/live_commands.h"

namespace portcullis::control {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// Answers each request with its own parameters.
void answer_with_params(LiveServer&, const std::string& message, const Server::Reply& reply) {
  const auto request = parse_request(message);
  PORTCULLIS_CHECK(request.has_value());
  reply(result_line(request->id, request->params));
}

TEST(Client, SaysHowToStartADaemonWhenNoneListens) {
  const auto client = Client::connect("/nonexistent/s", 1s);
  ASSERT_FALSE(client);
  EXPECT_NE(client.error().message.find("/nonexistent/s"), std::string::npos);
  EXPECT_NE(client.error().message.find("portcullisd --config"), std::string::npos);
}

TEST(Client, GivesUpOnADaemonThatDoesNotAnswer) {
  const LiveServer server({}, [](LiveServer&, const std::string&, const Server::Reply&) {});
  auto client = Client::connect(server.socket(), 200ms);
  ASSERT_TRUE(client);
  const auto answer = client->call("status", {});
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find("200 ms"), std::string::npos) << answer.error().message;
}

TEST(Client, SaysHelloToADaemonOfItsProtocol) {
  LivePlane plane;
  Client client = plane.server_.connect();
  const auto told = client.hello("a test");
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(told->protocol, kProtocolVersion);
  EXPECT_EQ(told->server, "portcullisd");
  EXPECT_FALSE(told->version.empty());
  EXPECT_TRUE(client.call("history", json::object()));
}

TEST(Client, SaysWhichProtocolsADaemonSpeaksInstead) {
  const LiveServer server({}, [](LiveServer&, const std::string&, const Server::Reply& reply) {
    reply(error_line(1,
                     {.code = RpcCode::unsupported_protocol,
                      .message = "protocol 9 is spoken here",
                      .details = {{"supported", json::array({9})}}}));
  });
  const auto told = server.connect().hello("a test");
  ASSERT_FALSE(told);
  EXPECT_NE(told.error().message.find("does not speak protocol 1"), std::string::npos);
  EXPECT_NE(told.error().message.find("it speaks [9]"), std::string::npos) << told.error().message;
}

TEST(Client, IsNotTakenInByAnythingElse) {
  const LiveServer server({}, answer_with_params);
  const auto told = server.connect().hello("a test");
  ASSERT_FALSE(told);
  EXPECT_NE(told.error().message.find("is no portcullisd"), std::string::npos);
}

TEST(Client, KnowsAnAnswerThatIsNotItsOwn) {
  const LiveServer server({}, [](LiveServer&, const std::string&, const Server::Reply& reply) {
    reply(result_line(7, json::object()));
  });
  const auto answer = server.connect().call("status", json::object());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message, "the answer to request 7 came where that to 1 was due");
}

TEST(Pipeline, TakesTheAnswersToAThousandRequestsInOrder) {
  LivePlane plane;
  // Far more than sockets hold: the daemon stops reading until its answers are taken.
  Client client = plane.server_.connect();
  for (int i = 0; i < 1000; ++i) {
    const auto sent = i % 2 == 0 ? client.submit("status", json::object())
                                 : client.submit("dance", {{"step", i}});
    ASSERT_TRUE(sent) << i << ": " << sent.error().message;
  }
  EXPECT_EQ(client.pending(), 1000U);
  for (int i = 0; i < 1000; ++i) {
    const auto answer = client.take();
    ASSERT_TRUE(answer) << i << ": " << answer.error().message;
    EXPECT_EQ(answer->has_value(), i % 2 == 0) << i;
  }
  EXPECT_EQ(client.pending(), 0U);
  EXPECT_TRUE(client.call("history", json::object()));
}

TEST(Pipeline, NeitherSideWaitsForTheOtherWithLargeRequestsAndAnswers) {
  const LiveServer server({}, answer_with_params);
  Client client = server.connect();
  const std::string large(200'000, 'x');
  for (int i = 0; i < 60; ++i) {
    const auto sent = client.submit("echo", {{"i", i}, {"text", large}});
    ASSERT_TRUE(sent) << i << ": " << sent.error().message;
  }
  for (int i = 0; i < 60; ++i) {
    const auto answer = client.take();
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ((**answer)["i"], i);
    EXPECT_EQ((**answer)["text"].get_ref<const std::string&>().size(), large.size());
  }
}

TEST(Pipeline, RefusesMoreThanItKeepsAndGoesOn) {
  const LiveServer server({}, answer_with_params);
  Client client = server.connect();
  for (std::size_t i = 0; i < Client::kPendingMax; ++i) {
    ASSERT_TRUE(client.submit("echo", {{"i", i}}));
  }
  const auto more = client.submit("echo", json::object());
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().message, "4096 requests wait for their answers to be taken");
  EXPECT_EQ((**client.take())["i"], 0);
  EXPECT_TRUE(client.submit("echo", {{"i", "last"}}));
  for (std::size_t i = 1; i < Client::kPendingMax; ++i) {
    EXPECT_EQ((**client.take())["i"], i);
  }
  EXPECT_EQ((**client.take())["i"], "last");
}

TEST(Pipeline, BoundsTheAnswersThatWait) {
  const LiveServer server({}, answer_with_params);
  Client client = server.connect();
  const std::string large(1'000'000, 'x');
  Result<void> sent;
  int count = 0;
  while ((sent = client.submit("echo", {{"text", large}})) && count < 100) {
    ++count;
  }
  ASSERT_FALSE(sent);
  EXPECT_LT(count, 30) << "16 MiB of answers, and what the sockets hold";
  for (int i = 0; i < count; ++i) {
    EXPECT_TRUE(client.take());
  }
  EXPECT_TRUE(client.call("echo", json::object()));
}

TEST(Pipeline, HearsWhyAMessageInItsMidstIsRefused) {
  const LiveServer server({.message_bytes_max = 100'000}, answer_with_params);
  Client client = server.connect();
  ASSERT_TRUE(client.submit("echo", {{"i", 1}}));
  static_cast<void>(client.submit("echo", {{"text", std::string(5'000'000, 'x')}}));
  ASSERT_EQ(client.pending(), 2U);
  EXPECT_EQ((**client.take())["i"], 1);
  const auto refused = client.take();
  ASSERT_TRUE(refused) << refused.error().message;
  ASSERT_FALSE(*refused);
  EXPECT_EQ(refused->error().code, RpcCode::invalid_request);
  EXPECT_FALSE(client.call("echo", json::object()));
}

/// A server that takes one client, answers its first three requests and hangs up.
class HangsUp {
 public:
  HangsUp() : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
    PORTCULLIS_CHECK(
        ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    PORTCULLIS_CHECK(::listen(listener_.get(), 1) == 0);
    thread_ = std::jthread([this] { serve(); });
  }
  [[nodiscard]] std::string path() const { return folder_.file("s"); }

 private:
  void serve() const {
    const UniqueFd client(::accept(listener_.get(), nullptr, nullptr));
    char byte = 0;
    for (int lines = 0; lines < 10 && ::read(client.get(), &byte, 1) == 1;) {
      lines += byte == '\n' ? 1 : 0;
    }
    for (int id = 1; id <= 3; ++id) {
      const std::string line = result_line(id, {{"id", id}}) + "\n";
      PORTCULLIS_CHECK(::send(client.get(), line.data(), line.size(), MSG_NOSIGNAL) > 0);
    }
  }

  ScratchFolder folder_;
  UniqueFd listener_;
  std::jthread thread_;
};

TEST(Pipeline, GivesWhatCameBeforeTheServerHungUp) {
  const HangsUp server;
  auto client = Client::connect(server.path(), 20s);
  ASSERT_TRUE(client);
  // Some of them may find nobody there any more.
  for (int i = 0; i < 1000 && client->submit("status", {{"padding", std::string(100, 'x')}});) {
    ++i;
  }
  ASSERT_GE(client->pending(), 10U);
  for (int id = 1; id <= 3; ++id) {
    const auto answer = client->take();
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ((**answer)["id"], id);
  }
  const auto none = client->take();
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("closed the connection with"), std::string::npos)
      << none.error().message;
  EXPECT_NE(none.error().message.find("requests not answered"), std::string::npos);
}

}  // namespace
}  // namespace portcullis::control
