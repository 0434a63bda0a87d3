// SPDX-License-Identifier: MIT
#include "control/state/archive.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <thread>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/control/life.h"

namespace portcullis::control {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

TEST(Archive, BringsBackWhatWasCommittedAndTheHistory) {
  const ScratchFolder folder;
  json before;
  {
    Life life(folder);
    EXPECT_EQ(life.revision(), 1);
    ASSERT_TRUE(life.commit(81, {{"comment", "for the auditors"}}));
    before = life.running();
  }
  Life life(folder);
  ASSERT_EQ(life.refusal(), "");
  json after = life.running();
  for (json* one : {&before, &after}) {
    one->erase("age_s");
    one->erase("duration_ms");
  }
  EXPECT_EQ(after, before);
  EXPECT_EQ(after["digest"], digest_with(81));
  EXPECT_EQ(after["comment"], "for the auditors");
  const Answer back = life.plane().call("rollback");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ((*back)["revision"], 3);
  EXPECT_EQ((*back)["rollback_to"], 1);
  EXPECT_EQ((*back)["digest"], digest_with(80));
}

TEST(Archive, ShowsAndComparesRevisionsOfAnEarlierProcess) {
  const ScratchFolder folder;
  {
    Life life(folder);
    ASSERT_TRUE(life.commit(81));
  }
  Life life(folder);
  ASSERT_TRUE(life.commit(82));
  const Answer first = life.plane().call("show", {{"revision", 1}});
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ((*first)["digest"], digest_with(80));
  EXPECT_EQ((*first)["objects_total"], 4);
  EXPECT_EQ((*first)["objects"][1],
            json({{"kind", "NetworkPolicy"},
                  {"name", "shop/db"},
                  {"file", folder.file("manifests/policy.yaml")},
                  {"line", 1}}));
  const Answer diff = life.plane().call("diff", {{"from", 1}});
  ASSERT_TRUE(diff) << diff.error().message;
  EXPECT_EQ((*diff)["from"], 1);
  EXPECT_EQ((*diff)["to"], 3);
  ASSERT_EQ((*diff)["changes"].size(), 1U);
  EXPECT_EQ((*diff)["changes"][0]["name"], "shop/db");
  EXPECT_EQ((*diff)["changes"][0]["change"], "changed");
  EXPECT_TRUE((*life.plane().call("diff", {{"from", 2}, {"to", 2}}))["changes"].empty());
  EXPECT_EQ(life.plane().call("diff", {{"from", 9}}).error().code, RpcCode::unknown_revision);
}

TEST(Archive, ExplainsByTheNamesThatWereCommitted) {
  const ScratchFolder folder;
  { ASSERT_TRUE(Life(folder).commit(81)); }
  Life life(folder);
  const Answer answer =
      life.plane().call("explain", {{"from", "shop/web"}, {"to", "shop/db"}, {"port", 81}});
  ASSERT_TRUE(answer);
  EXPECT_TRUE((*answer)["allowed"].get<bool>());
  EXPECT_NE((*answer)["text"].get<std::string>().find("policy.yaml:"), std::string::npos);
}

TEST(Archive, KeepsSoManyRevisionsAndTheirContents) {
  const ScratchFolder folder;
  {
    Life life(folder);
    for (int i = 1; i <= 10; ++i) {
      ASSERT_TRUE(life.commit(100 + i));
    }
    ASSERT_TRUE(life.plane().call("rollback"));  // Names a content again.
  }
  Life life(folder);
  EXPECT_EQ(life.revision(), 12);
  EXPECT_EQ((*life.plane().call("history"))["revisions"].size(), kRevisionsMax);
  std::size_t contents = 0;
  for ([[maybe_unused]] const auto& file : fs::directory_iterator(folder.file("state/contents"))) {
    ++contents;
  }
  EXPECT_EQ(contents, kRevisionsMax - 1);
}

TEST(Archive, WritesTheJournalAnewBeforeItGrowsLarge) {
  const ScratchFolder folder;
  auto archive = Archive::open(folder.file("state"), kRevisionsMax);
  ASSERT_TRUE(archive);
  const std::string content = *archive->store(shop({80}));
  for (std::uint64_t i = 1; i <= 2500; ++i) {
    ASSERT_TRUE(archive->append({.revision = {.number = i, .content = content}}));
  }
  EXPECT_LT(fs::file_size(folder.file("state/journal")), 1'000'000U);
  EXPECT_EQ(archive->next_number(), 2501U);
  EXPECT_LE(archive->revisions().size(), kRevisionsMax + 1);
}

TEST(Archive, UndoesATrialThatNobodyConfirmedBeforeTheEnd) {
  const ScratchFolder folder;
  {
    Life life(folder);
    ASSERT_TRUE(life.commit(81));
    ASSERT_TRUE(life.commit(82, {{"confirm_s", 600}}));
    ASSERT_TRUE(life.commit(83, {{"confirm_s", 600}}));
  }
  Life life(folder);
  const json running = life.running();
  EXPECT_EQ(running["revision"], 5);
  EXPECT_EQ(running["rollback_to"], 2);
  EXPECT_EQ(running["digest"], digest_with(81));
  EXPECT_NE(running["comment"].get<std::string>().find("revision 4 was not confirmed"),
            std::string::npos);
}

TEST(Archive, KeepsATrialThatWasConfirmed) {
  const ScratchFolder folder;
  {
    Life life(folder);
    ASSERT_TRUE(life.commit(82, {{"confirm_s", 600}}));
    ASSERT_TRUE(life.plane().call("confirm"));
  }
  EXPECT_EQ(Life(folder).running()["digest"], digest_with(82));
}

TEST(Archive, KeepsTheBaseOfALongTrial) {
  const ScratchFolder folder;
  {
    Life life(folder);
    for (int i = 0; i < 9; ++i) {
      ASSERT_TRUE(life.commit(90 + i, {{"confirm_s", 600}}));
    }
  }
  Life life(folder);
  ASSERT_EQ(life.refusal(), "");
  EXPECT_EQ(life.running()["digest"], digest_with(80));
}

TEST(Archive, LeavesNothingBehindOfWhatCouldNotBePublished) {
  const ScratchFolder folder;
  {
    Life life(folder);
    life.plane().publisher_.broken = true;
    EXPECT_FALSE(life.commit(81));
  }
  EXPECT_EQ(Life(folder).running()["digest"], digest_with(80));
}

TEST(Archive, RefusesWhatTheDiskDoesNotTake) {
  const ScratchFolder folder;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  {
    Life life(folder);
    ASSERT_EQ(life.revision(), 1);
    for (const rlim_t bytes : {rlim_t{100}, fs::file_size(folder.file("state/journal")) + 5}) {
      const rlimit tight{.rlim_cur = bytes, .rlim_max = before.rlim_max};
      ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
      const Answer refused = life.commit(81);
      ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, RpcCode::not_kept);
      EXPECT_EQ(life.running()["digest"], digest_with(80));
      EXPECT_EQ(life.plane().publisher_.published, 1U);
    }
    ASSERT_TRUE(life.commit(82));
  }
  EXPECT_EQ(Life(folder).running()["digest"], digest_with(82));
}

TEST(Archive, IsForOneDaemon) {
  const ScratchFolder folder;
  const Life first(folder);
  EXPECT_NE(Life(folder).refusal().find("another daemon"), std::string::npos);
}

TEST(Archive, RefusesAnotherVersion) {
  const ScratchFolder folder;
  fs::create_directories(folder.file("state"));
  ASSERT_TRUE(Journal::create(folder.file("state/journal"), std::vector<json>{{{"journal", 2}}}));
  EXPECT_NE(Life(folder).refusal().find("of version 2: this Portcullis knows version 1"),
            std::string::npos);
}

TEST(Archive, RefusesToBeginAnewWhereNothingIsLeft) {
  const ScratchFolder folder;
  fs::create_directories(folder.file("state"));
  put_text(folder.file("state/journal"), "this is no journal\n");
  EXPECT_NE(Life(folder).refusal().find("move the folder away"), std::string::npos);
}

TEST(Archive, UsesTheOneBeforeADamagedContent) {
  const ScratchFolder folder;
  {
    Life life(folder);
    ASSERT_TRUE(life.commit(81));
    ASSERT_TRUE(life.commit(82));
  }
  std::string newest;
  {
    const auto archive = Archive::open(folder.file("state"), kRevisionsMax);
    ASSERT_TRUE(archive);
    newest = archive->revisions().back().revision.content;
  }
  const std::string path = folder.file("state/contents/" + newest + ".json");
  put_text(path, text_of(path).substr(0, 100));
  Life life(folder);
  const json running = life.running();
  EXPECT_EQ(running["digest"], digest_with(81));
  EXPECT_EQ(running["revision"], 4);
  EXPECT_EQ(running["comment"], "the content of revision 3 is damaged");
}

TEST(Archive, EnforcesSomethingThatWasCommittedWhateverFileIsDamaged) {
  std::mt19937_64 random(20261127);
  for (int round = 0; round < 50; ++round) {
    SCOPED_TRACE(round);
    const ScratchFolder folder;
    {
      Life life(folder);
      for (const int port : {81, 82, 83}) {
        ASSERT_TRUE(life.commit(port));
      }
    }
    std::vector<fs::path> files{folder.file("state/journal")};
    for (const auto& file : fs::directory_iterator(folder.file("state/contents"))) {
      files.push_back(file.path());
    }
    std::sort(files.begin(), files.end());
    const bool cuts = damage(files[random() % files.size()], random);
    Life life(folder);
    if (!life.refusal().empty()) {
      // Cut within its first revision, the journal has none.
      EXPECT_NE(life.refusal().find("move the folder away"), std::string::npos) << life.refusal();
      continue;
    }
    const std::string digest = life.running()["digest"];
    bool was_committed = false;
    for (const int port : {80, 81, 82, 83}) {
      was_committed = was_committed || digest == digest_with(port);
    }
    EXPECT_TRUE(was_committed) << life.running();
    ASSERT_TRUE(life.commit(84));
    EXPECT_TRUE(cuts || life.revision() > 4) << "a number was used twice";
  }
}

/// A process that commits shop({1000 + REVISION}) again and again, and writes the number of each
/// revision to a pipe once it was acknowledged.
[[noreturn]] void commit_until_killed(const ScratchFolder& folder, int acknowledged) {
  Life life(folder);
  PORTCULLIS_CHECK(life.refusal().empty());
  for (int next = life.revision() + 1;; ++next) {
    const Answer answer = life.commit(1000 + next);
    PORTCULLIS_CHECK(answer && (*answer)["revision"] == next);
    PORTCULLIS_CHECK(::write(acknowledged, &next, sizeof next) == sizeof next);
  }
}

TEST(Archive, LosesNoAcknowledgedCommitWhenItIsKilled) {
  const char* const wanted = std::getenv("PORTCULLIS_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 25;
  std::mt19937_64 random(20261127);
  const ScratchFolder folder;
  { ASSERT_EQ(Life(folder).revision(), 1); }
  int last = 1;
  int newer = 0;
  for (int round = 0; round < kills; ++round) {
    SCOPED_TRACE(round);
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      commit_until_killed(folder, ends[1]);
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
    ASSERT_EQ(life.running()["digest"], digest_with(1000 + last));
    newer += last > acknowledged ? 1 : 0;
  }
  std::printf("%d kills, %d commits; %d times a commit was in force that nobody had been told of\n",
              kills,
              last,
              newer);
}

}  // namespace
}  // namespace portcullis::control
