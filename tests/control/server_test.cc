// SPDX-License-Identifier: MIT
#include "control/server.h"

#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <sys/stat.h>

#include "tests/control/live_server.h"

namespace portcullis::control {
namespace {

using namespace std::chrono_literals;

/// Answers a message with itself; "slow..." after `kSlow` on the lane, "mute..." with nothing.
constexpr auto kSlow = 300ms;
void echo(LiveServer& server, std::string message, Server::Reply reply) {
  if (message.starts_with("slow")) {
    server.lane().run([] { std::this_thread::sleep_for(kSlow); },
                      [message, reply] { reply(message); });
    return;
  }
  reply(message.starts_with("mute") ? "" : message);
}

std::string ask(Client& client, const std::string& message) {
  const auto sent = client.send(message);
  const auto line = client.receive();
  return line ? *line : "nothing: " + line.error().message + (sent ? "" : " (not sent)");
}

/// How long `serve` takes, from now.
template <typename Act>
auto time_of(Act act) {
  const auto begin = std::chrono::steady_clock::now();
  act();
  return std::chrono::steady_clock::now() - begin;
}

TEST(Server, HasMode0660FromTheStart) {
  const LiveServer server({}, echo);
  struct stat found {};
  ASSERT_EQ(::stat(server.socket().c_str(), &found), 0);
  EXPECT_TRUE(S_ISSOCK(found.st_mode));
  EXPECT_EQ(found.st_mode & 0777U, 0660U);
}

TEST(Server, RemovesItsSocketAtTheEnd) {
  const ScratchFolder folder;
  { const LiveServer server({.socket = folder.file("s")}, echo); }
  EXPECT_FALSE(std::filesystem::exists(folder.file("s")));
}

TEST(Server, AnswersMessagesInOrder) {
  const LiveServer server({}, echo);
  Client client = server.connect();
  ASSERT_TRUE(client.send("one\ntwo\n\n  \nmute\nthree"));
  EXPECT_EQ(client.receive().value_or(""), "one");
  EXPECT_EQ(client.receive().value_or(""), "two");
  EXPECT_EQ(client.receive().value_or(""), "three");
}

TEST(Server, ServesOthersWhileOneWaitsForTheLane) {
  const LiveServer server({}, echo);
  Client waiting = server.connect();
  ASSERT_TRUE(waiting.send("slow one"));
  Client quick = server.connect();
  const auto took = time_of([&] { EXPECT_EQ(ask(quick, "quick"), "quick"); });
  EXPECT_LT(took, kSlow);
  EXPECT_EQ(waiting.receive().value_or(""), "slow one");
}

TEST(Server, ForgetsAnAnswerWhoseClientIsGone) {
  const LiveServer server({}, echo);
  {
    Client gone = server.connect();
    ASSERT_TRUE(gone.send("slow one"));
  }
  std::this_thread::sleep_for(kSlow + 100ms);
  Client client = server.connect();
  EXPECT_EQ(ask(client, "still here"), "still here");
}

TEST(Server, TakesAMessageInManyPieces) {
  const LiveServer server({}, echo);
  Client client = server.connect();
  const std::string large(5'000'000, 'x');
  EXPECT_EQ(ask(client, large), large);
}

TEST(Server, RefusesAMessageOverTheLimitAndSaysSo) {
  const LiveServer server({.message_bytes_max = 100'000}, echo);
  Client client = server.connect();
  const std::string line = ask(client, std::string(10'000'000, 'x'));
  EXPECT_NE(line.find("-32600"), std::string::npos) << line;
  EXPECT_NE(line.find("100000 bytes"), std::string::npos) << line;
  EXPECT_FALSE(client.receive());
  Client other = server.connect();
  EXPECT_EQ(ask(other, "fine"), "fine");
}

TEST(Server, BoundsTheUnfinishedInputOfAllClientsTogether) {
  const LiveServer server({.message_bytes_max = 1'000'000, .client_timeout = 5s}, echo);
  std::vector<Client> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(server.connect());
    static_cast<void>(clients.back().send_bytes(std::string(900'000, 'x')));
  }
  Client quick = server.connect();
  EXPECT_EQ(ask(quick, "quick"), "quick");
  int refused = 0;
  int timed_out = 0;
  for (Client& client : clients) {
    const std::string line = client.receive().value_or("");
    refused += line.find("-32002") != std::string::npos ? 1 : 0;
    timed_out += line.find("-32003") != std::string::npos ? 1 : 0;
  }
  EXPECT_GE(refused, 1);
  EXPECT_GE(timed_out, 4);
}

TEST(Server, TimesOutHalfAMessage) {
  const LiveServer server({.client_timeout = 300ms}, echo);
  auto client = Client::connect(server.socket(), 30s);
  ASSERT_TRUE(client);
  ASSERT_TRUE(client->send_bytes("half a mess"));
  const auto line = client->receive();
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_NE(line->find("-32003"), std::string::npos) << *line;
  EXPECT_FALSE(client->receive());
}

TEST(Server, TimesOutAClientThatTrickles) {
  const LiveServer server({.client_timeout = 300ms}, echo);
  Client client = server.connect();
  const auto begin = std::chrono::steady_clock::now();
  while (client.send_bytes("x") && std::chrono::steady_clock::now() - begin < 30s) {
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
}

TEST(Server, DropsASilentClient) {
  const LiveServer server({.clients_max = 1, .client_timeout = 300ms}, echo);
  Client silent = server.connect();
  EXPECT_FALSE(silent.receive());
  Client client = server.connect();
  EXPECT_EQ(ask(client, "room again"), "room again");
}

TEST(Server, DropsAClientThatDoesNotReadItsAnswerAndServesOthers) {
  const LiveServer server({.client_timeout = 500ms}, echo);
  Client slow = server.connect();
  ASSERT_TRUE(slow.send(std::string(8'000'000, 'x')));
  Client quick = server.connect();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(ask(quick, "quick"), "quick");
    std::this_thread::sleep_for(100ms);
  }
  EXPECT_FALSE(slow.receive());  // What the kernel held, then the end: no whole line.
}

TEST(Server, CountsNoTimeInWhichItWasAwayItself) {
  const LiveServer server({.client_timeout = 400ms},
                          [](LiveServer&, const std::string& message, const Server::Reply& reply) {
                            if (message == "go away") {
                              std::this_thread::sleep_for(1s);
                            }
                            reply(message);
                          });
  Client honest = server.connect();
  EXPECT_EQ(ask(honest, "hello"), "hello");
  Client other = server.connect();
  ASSERT_TRUE(other.send("go away"));
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(ask(honest, "in time"), "in time");
}

TEST(Server, ServesOthersUnderAFlood) {
  const LiveServer server({}, echo);
  std::atomic<bool> stop = false;
  std::jthread flood([&] {
    Client client = server.connect();
    std::string many;
    for (int i = 0; i < 10'000; ++i) {
      many += i % 2 == 0 ? "mute\n" : "\n";
    }
    while (!stop && client.send(many)) {
    }
  });
  for (int i = 0; i < 20; ++i) {
    Client client = server.connect();
    EXPECT_EQ(ask(client, "quick"), "quick");
  }
  stop = true;
}

TEST(Server, TurnsAwayClientsBeyondItsMaximum) {
  const LiveServer server({.clients_max = 2}, echo);
  Client first = server.connect();
  Client second = server.connect();
  EXPECT_EQ(ask(first, "one") + ask(second, "two"), "onetwo");
  Client third = server.connect();
  const auto line = third.receive();
  ASSERT_TRUE(line);
  EXPECT_NE(line->find("-32002"), std::string::npos) << *line;
  EXPECT_EQ(ask(first, "still"), "still");
}

TEST(Server, ServesManyClientsAtOnce) {
  const LiveServer server({}, echo);
  std::vector<std::jthread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      Client client = server.connect();
      for (int n = 0; n < 50; ++n) {
        const std::string message = std::to_string(i) + ":" + std::to_string(n);
        right += ask(client, message) == message ? 1 : 0;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(right, 16 * 50);
}

TEST(Server, TakesALastLineWithoutNewline) {
  const LiveServer server({}, echo);
  Client client = server.connect();
  ASSERT_TRUE(client.send_bytes("last words"));
  client.end();
  EXPECT_EQ(client.receive().value_or(""), "last words");
  EXPECT_FALSE(client.receive());
}

TEST(Server, RefusesToStealALiveSocket) {
  const LiveServer server({}, echo);
  const auto loop = Loop::make();
  const auto stolen = Server::open(**loop, {.socket = server.socket()}, {});
  ASSERT_FALSE(stolen);
  EXPECT_NE(stolen.error().message.find("another daemon"), std::string::npos);
  Client client = server.connect();
  EXPECT_EQ(ask(client, "mine"), "mine");
}

TEST(Server, RefusesToStealASocketThatAnswersWithoutALock) {
  const LiveServer server({}, echo);
  std::filesystem::remove(server.socket() + ".lock");
  const auto loop = Loop::make();
  const auto stolen = Server::open(**loop, {.socket = server.socket()}, {});
  ASSERT_FALSE(stolen);
  EXPECT_NE(stolen.error().message.find("something listens"), std::string::npos);
}

TEST(Server, ReplacesADeadDaemonsSocket) {
  const ScratchFolder folder;
  const std::string path = folder.file("s");
  {
    const LiveServer server({.socket = path}, echo);
    // A hard link outlives the server's own unlink, as after kill -9.
    ASSERT_EQ(::link(path.c_str(), folder.file("kept").c_str()), 0);
  }
  std::filesystem::rename(folder.file("kept"), path);
  const LiveServer server({.socket = path}, echo);
  Client client = server.connect();
  EXPECT_EQ(ask(client, "alive"), "alive");
}

TEST(Server, LeavesAFileThatIsNoSocketAlone) {
  const ScratchFolder folder;
  std::ofstream(folder.file("s")) << "precious";
  const auto loop = Loop::make();
  const auto server = Server::open(**loop, {.socket = folder.file("s")}, {});
  ASSERT_FALSE(server);
  EXPECT_NE(server.error().message.find("not a socket"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(folder.file("s")));
}

TEST(Server, SaysWhichDirectoryIsMissing) {
  const auto loop = Loop::make();
  const auto server = Server::open(**loop, {.socket = "/nonexistent/s"}, {});
  ASSERT_FALSE(server);
  EXPECT_NE(to_string(server.error()).find("/nonexistent/s"), std::string::npos);
  EXPECT_FALSE(Server::open(**loop, {.socket = std::string(200, 'x')}, {}));
}

}  // namespace
}  // namespace portcullis::control
