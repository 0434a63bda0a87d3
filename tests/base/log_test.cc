// SPDX-License-Identifier: MIT
#include "base/log.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace portcullis {
namespace {

TEST(LogStart, RefusesAnUnknownLevel) {
  const auto started = log::start("loud");
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("'loud' is no log level"), std::string::npos);
}

TEST(LogStart, SetsTheLevel) {
  ::unsetenv("JOURNAL_STREAM");
  ASSERT_TRUE(log::start("warn"));
  testing::internal::CaptureStderr();
  log::info("quiet");
  log::warn("loud {}", 7);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("quiet"), text.npos) << text;
  EXPECT_NE(text.find("loud 7"), text.npos) << text;
}

TEST(LogStart, MayBeCalledAgainAndGivesTheJournalItsPriorities) {
  ::setenv("JOURNAL_STREAM", "1:1", 1);
  ASSERT_TRUE(log::start("debug"));
  testing::internal::CaptureStderr();
  log::debug("d");
  log::info("i");
  log::warn("w");
  log::error("e");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "<7>d\n<6>i\n<4>w\n<3>e\n");
  ::unsetenv("JOURNAL_STREAM");
}

}  // namespace
}  // namespace portcullis
