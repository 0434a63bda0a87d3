// SPDX-License-Identifier: MIT
#include "control/client/await_revision.h"

#include <chrono>
#include <memory>
#include <thread>

#include "tests/control/live_commands.h"

namespace portcullis::control {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class AwaitRevision : public LiveCommands {
 protected:
  Answer commit(int port) {
    json manifests = json::array();
    for (const policy::Manifest& one : shop({port})) {
      manifests.push_back({{"name", one.name}, {"text", one.text}});
    }
    return call("commit", {{"manifests", manifests}});
  }
};

TEST_F(AwaitRevision, ReturnsAtOnceWhenItRuns) {
  ASSERT_TRUE(commit(80));
  ASSERT_TRUE(commit(81));
  EXPECT_EQ(await_revision(server_.socket(), 1, 20s).value_or(0), 2U);
  EXPECT_EQ(await_revision(server_.socket(), 2, 20s).value_or(0), 2U);
}

TEST_F(AwaitRevision, ReturnsWhenSomebodyElseCommits) {
  ASSERT_TRUE(commit(80));
  std::jthread other([this] {
    std::this_thread::sleep_for(150ms);
    EXPECT_TRUE(commit(81));
  });
  EXPECT_EQ(await_revision(server_.socket(), 2, 60s).value_or(0), 2U);
}

TEST_F(AwaitRevision, TellsWhatRunsWhenTheTimeIsOver) {
  ASSERT_TRUE(commit(80));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(await_revision(server_.socket(), 7, 200ms).value_or(0), 1U);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 200ms);
}

TEST_F(AwaitRevision, DoesNotWaitWhereItIsRefused) {
  config_.control.observe_groups = {"70001"};
  roles_ = *Roles::of(config_.control);
  caller_ = {.uid = 54'321, .groups = {54'321}, .pid = 7};
  const auto begin = std::chrono::steady_clock::now();
  const auto running = await_revision(server_.socket(), 1, 60s);
  ASSERT_FALSE(running);
  EXPECT_NE(running.error().message.find("takes the role observe"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
}

TEST(AwaitRevisionAlone, WaitsForADaemonThatStarts) {
  const ScratchFolder folder;
  std::unique_ptr<LiveServer> late;
  std::jthread starting([&] {
    std::this_thread::sleep_for(150ms);
    late = std::make_unique<LiveServer>(
        ServerOptions{.socket = folder.file("s")},
        [](LiveServer&, const std::string&, const Server::Reply& reply) {
          reply(result_line(1, {{"revisions", {{{"revision", 3}}}}}));
        });
  });
  EXPECT_EQ(await_revision(folder.file("s"), 3, 60s).value_or(0), 3U);
  starting.join();
}

TEST(AwaitRevisionAlone, SaysWhyNobodyAnswered) {
  const auto running = await_revision("/nonexistent/s", 1, 50ms);
  ASSERT_FALSE(running);
  EXPECT_NE(running.error().message.find("/nonexistent/s"), std::string::npos);
}

TEST_F(AwaitRevision, IsAnExitCodeForScripts) {
  ASSERT_TRUE(commit(80));
  Target quick = target();
  quick.timeout = 1s;
  const Told late = ask_status_of(quick, 2);
  EXPECT_EQ(late.exit_code, 1);
  EXPECT_TRUE(late.output.empty());
  EXPECT_EQ(late.trouble, "portcullis: revision 2 was not enforced within 1s: revision 1 runs\n");
  const Told told = ask_status_of(target(true), 1);
  EXPECT_EQ(told.exit_code, 0) << told.trouble;
  EXPECT_EQ(json::parse(told.output)["running"]["revision"], 1);
  quick.socket = "/nonexistent/s";
  EXPECT_EQ(ask_status_of(quick, 1).exit_code, 2);
}

}  // namespace
}  // namespace portcullis::control
