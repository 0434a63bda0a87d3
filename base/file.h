// SPDX-License-Identifier: MIT
// Whole-file reads and an owned file descriptor.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

#include "base/result.h"

namespace portcullis {

/// A file descriptor that closes itself. Move-only; -1 is empty.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd();

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

/// The bytes of a regular file (or of standard input for "-"), of at most `bytes_max` bytes.
/// Errors: cannot open or read (with the system's reason), larger than the limit.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max);

}  // namespace portcullis
