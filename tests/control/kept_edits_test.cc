// SPDX-License-Identifier: MIT
// Single objects on the disk: what is left of them after a restart, a kill, or damage.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "policy/world.h"
#include "tests/control/edit_words.h"
#include "tests/control/life.h"

namespace portcullis::control {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

Answer set_web(Life& life, const std::string& address) {
  return life.plane().call("edit", steps({writing("pod.set", pod_text("web", "web", address))}));
}

std::string digest_with_web_at(const std::string& address) {
  const std::vector<policy::Step> edits{
      {.kind = policy::Kind::pod,
       .verb = policy::Verb::set,
       .manifests = {{"edit.yaml", pod_text("web", "web", address)}}}};
  policy::World world(std::make_shared<const policy::Snapshot>(policy::load(shop({80})).snapshot));
  PORTCULLIS_CHECK(world.apply(policy::edits_of(edits).value()));
  return policy::digest(*world.snapshot());
}

TEST(KeptEdits, AreInForceAgainAfterARestart) {
  const ScratchFolder folder;
  {
    Life life(folder);
    ASSERT_TRUE(set_web(life, "10.1.0.1"));
    ASSERT_TRUE(set_web(life, "10.1.0.2"));
  }
  {
    Life life(folder);
    ASSERT_EQ(life.refusal(), "");
    EXPECT_EQ(life.revision(), 3);
    EXPECT_EQ(life.running()["digest"], digest_with_web_at("10.1.0.2"));
    EXPECT_EQ((*life.plane().call("history"))["revisions"].size(), 2U);
    ASSERT_TRUE(set_web(life, "10.1.0.3"));
    ASSERT_TRUE(life.plane().call("edit", steps({writing("policy.set", policy_text({81}))})));
    ASSERT_TRUE(life.plane().call("rollback"));
  }
  Life life(folder);
  EXPECT_EQ(life.revision(), 6);
  EXPECT_EQ(life.running()["digest"], digest_with_web_at("10.1.0.3"));
  const Answer diff = life.plane().call("diff", {{"from", 5}, {"to", 6}});
  ASSERT_TRUE(diff) << diff.error().message;
  ASSERT_EQ((*diff)["changes"].size(), 1U);
  EXPECT_EQ((*diff)["changes"][0]["name"], "shop/db");
  EXPECT_TRUE(life.plane().call("rollback", {{"revision", 1}}));
}

TEST(KeptEdits, OutliveTheRevisionThatTheyBeganWith) {
  const ScratchFolder folder;
  std::string digest;
  {
    Life life(folder);
    // Policies are entries of their own: the first ones leave the history.
    for (int i = 1; i <= 8; ++i) {
      ASSERT_TRUE(set_web(life, fmt::format("10.1.0.{}", i)));
      ASSERT_TRUE(life.plane().call("edit", steps({writing("policy.set", policy_text({80 + i}))})));
    }
    digest = life.running()["digest"];
  }
  for (int start = 0; start < 3; ++start) {
    Life life(folder);
    ASSERT_EQ(life.refusal(), "");
    EXPECT_EQ(life.revision(), 17);
    EXPECT_EQ(life.running()["digest"], digest);
    EXPECT_LE((*life.plane().call("history"))["revisions"].size(), kRevisionsMax + 1);
  }
}

TEST(KeptEdits, SurviveAJournalThatIsWrittenAnew) {
  const ScratchFolder folder;
  {
    Life life(folder);
    for (int i = 0; i < 1200; ++i) {
      ASSERT_TRUE(set_web(life, fmt::format("10.1.{}.{}", i / 250, i % 250 + 1)));
    }
  }
  Life life(folder);
  EXPECT_EQ(life.revision(), 1201);
  EXPECT_EQ(life.running()["digest"], digest_with_web_at("10.1.4.200"));
  EXPECT_EQ((*life.plane().call("history"))["revisions"].size(), 2U);
}

TEST(KeptEdits, AreWholeOrGoneWhateverFileIsDamaged) {
  std::mt19937_64 random(20261127);
  for (int round = 0; round < 50; ++round) {
    SCOPED_TRACE(round);
    const ScratchFolder folder;
    std::vector<std::string> digests;
    {
      Life life(folder);
      digests.push_back(life.running()["digest"]);
      for (int i = 1; i <= 3; ++i) {
        ASSERT_TRUE(set_web(life, fmt::format("10.1.0.{}", i)));
        digests.push_back(life.running()["digest"]);
        ASSERT_TRUE(
            life.plane().call("edit", steps({writing("policy.set", policy_text({80 + i}))})));
        digests.push_back(life.running()["digest"]);
      }
    }
    std::vector<fs::path> files{folder.file("state/journal")};
    for (const auto& file : fs::directory_iterator(folder.file("state/contents"))) {
      files.push_back(file.path());
    }
    std::sort(files.begin(), files.end());
    damage(files[random() % files.size()], random);
    Life life(folder);
    if (!life.refusal().empty()) {
      EXPECT_NE(life.refusal().find("move the folder away"), std::string::npos) << life.refusal();
      continue;
    }
    const std::string digest = life.running()["digest"];
    EXPECT_NE(std::find(digests.begin(), digests.end(), digest), digests.end());
    ASSERT_TRUE(set_web(life, "10.1.0.9"));
  }
}

/// A process that moves web to 10.REVISION again and again, and writes the number of each revision
/// to a pipe once it was acknowledged.
[[noreturn]] void edit_until_killed(const ScratchFolder& folder, int acknowledged) {
  Life life(folder);
  PORTCULLIS_CHECK(life.refusal().empty());
  for (int next = life.revision() + 1;; ++next) {
    const Answer answer = set_web(life, fmt::format("10.1.{}.{}", next / 250, next % 250 + 1));
    PORTCULLIS_CHECK(answer && (*answer)["revision"] == next);
    PORTCULLIS_CHECK(::write(acknowledged, &next, sizeof next) == sizeof next);
  }
}

TEST(KeptEdits, LoseNoAcknowledgedOneWhenItIsKilled) {
  const char* const wanted = std::getenv("PORTCULLIS_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 20;
  std::mt19937_64 random(20261127);
  const ScratchFolder folder;
  { ASSERT_EQ(Life(folder).revision(), 1); }
  int last = 1;
  for (int round = 0; round < kills; ++round) {
    SCOPED_TRACE(round);
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      edit_until_killed(folder, ends[1]);
    }
    ::close(ends[1]);
    int acknowledged = last;
    ASSERT_EQ(::read(ends[0], &acknowledged, sizeof acknowledged), sizeof acknowledged);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    ::kill(child, SIGKILL);
    while (::read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {
    }
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    Life life(folder);
    ASSERT_EQ(life.refusal(), "");
    last = life.revision();
    ASSERT_TRUE(last == acknowledged || last == acknowledged + 1) << last << " " << acknowledged;
    ASSERT_EQ(life.running()["digest"],
              digest_with_web_at(fmt::format("10.1.{}.{}", last / 250, last % 250 + 1)));
  }
  std::printf("%d kills, %d edits\n", kills, last - 1);
}

}  // namespace
}  // namespace portcullis::control
