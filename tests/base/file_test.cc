// SPDX-License-Identifier: MIT
#include "base/file.h"

#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace portcullis {
namespace {

std::filesystem::path file_with(const std::string& text) {
  const std::filesystem::path path = testing::TempDir() + "portcullis_file_test";
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) != -1;
}

TEST(ReadFile, ReturnsEveryByte) {
  const std::string text = std::string("a\0b\n", 4) + std::string(200'000, 'x');
  const auto read = read_file(file_with(text), 300'000);
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_EQ(*read, text);
}

TEST(ReadFile, HoldsToItsLimit) {
  const auto path = file_with("12345");
  EXPECT_EQ(read_file(path, 5).value(), "12345");
  const auto refused = read_file(path, 4);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "larger than the limit of 4 bytes");
  EXPECT_EQ(refused.error().where, path.string());
}

TEST(ReadFile, SaysWhyItCannot) {
  EXPECT_EQ(read_file("/nonexistent", 1).error().message, "cannot open: No such file or directory");
  EXPECT_EQ(read_file("/", 1).error().message, "cannot read: Is a directory");
}

TEST(UniqueFd, ClosesOnce) {
  const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    UniqueFd first(raw);
    UniqueFd second(std::move(first));
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): moved-from is empty by contract.
    ASSERT_TRUE(second);
    EXPECT_EQ(second.get(), raw);
    EXPECT_TRUE(is_open(raw));
  }
  EXPECT_FALSE(is_open(raw));
}

TEST(UniqueFd, ResetEmptiesIt) {
  UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int raw = fd.get();
  fd.reset();
  EXPECT_FALSE(fd);
  EXPECT_FALSE(is_open(raw));
  fd.reset();
}

}  // namespace
}  // namespace portcullis
