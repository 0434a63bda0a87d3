// SPDX-License-Identifier: MIT
#include "base/time_text.h"

#include <gtest/gtest.h>

namespace portcullis {
namespace {

using std::chrono::seconds;

TEST(TimeText, IsUtc) {
  EXPECT_EQ(time_text(std::chrono::system_clock::time_point(seconds(0))), "1970-01-01T00:00:00Z");
  EXPECT_EQ(time_text(std::chrono::system_clock::time_point(seconds(951'868'799))),
            "2000-02-29T23:59:59Z");
}

TEST(SpanText, HasTheTwoLargestUnits) {
  EXPECT_EQ(span_text(seconds(-5)), "0s");
  EXPECT_EQ(span_text(seconds(59)), "59s");
  EXPECT_EQ(span_text(seconds(60)), "1m0s");
  EXPECT_EQ(span_text(seconds(3'599)), "59m59s");
  EXPECT_EQ(span_text(seconds(3'661)), "1h1m");
  EXPECT_EQ(span_text(seconds(86'399)), "23h59m");
  EXPECT_EQ(span_text(seconds(90'000)), "1d1h");
}

}  // namespace
}  // namespace portcullis
