// SPDX-License-Identifier: MIT
// A listening Unix socket that nobody can steal: its file, its mode and the lock beside it.
#pragma once

#include <string>

#include "base/file.h"
#include "base/result.h"

namespace portcullis::control {

/// Owner: the socket file. Move-only.
class Listener {
 public:
  /// Locks "PATH.lock" for as long as it lives, replaces a socket file that a dead daemon left,
  /// and listens on PATH with mode 0660 from the first moment.
  /// Errors: a live daemon holds the lock or answers on the socket; PATH is something else than a
  /// socket, or too long for one; its directory does not exist.
  static Result<Listener> open(const std::string& path);
  Listener(Listener&& other) noexcept = default;
  Listener& operator=(Listener&&) = delete;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  /// Removes the socket file. The lock file stays: removing it would let two daemons hold it.
  ~Listener();

  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  Listener() = default;

  std::string path_;
  UniqueFd lock_;
  UniqueFd fd_;
};

}  // namespace portcullis::control
