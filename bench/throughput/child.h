// SPDX-License-Identifier: MIT
// A child process that is talked to line by line, put to sleep and woken. It ends with its owner.
// Owner: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/result.h"

namespace portcullis::bench {

class Child {
 public:
  /// Starts a program on a terminal of its own, so that it talks line by line.
  /// Errors: no process or no terminal. A program that is not there shows as an early end.
  static Result<Child> start(const std::vector<std::string>& arguments);
  /// Starts `work` in a copy of this process; it reads and writes the descriptor it is given.
  static Result<Child> fork(const std::function<void(int)>& work);
  [[nodiscard]] pid_t process() const { return process_; }
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  /// Errors: the child has ended.
  [[nodiscard]] Result<void> send(std::string_view text);
  /// What the child says up to `mark`, which is not in it.
  /// Errors: the child ends first or takes longer; the message ends with what it said.
  [[nodiscard]] Result<std::string> read_until(std::string_view mark, double seconds);

  /// Between the two it takes no processor time.
  void pause() const;
  void resume() const;

 private:
  Child(pid_t process, int descriptor) : process_(process), descriptor_(descriptor) {}
  pid_t process_ = -1;
  int descriptor_ = -1;
  std::string unread_;
};

/// How long a thread was on a processor, and how long it could have been but had to wait.
struct ThreadTimes {
  std::uint64_t ran_ns = 0;
  std::uint64_t waited_ns = 0;
};
/// Of a process's thread of this name; zeros where there is none.
ThreadTimes thread_times(std::string_view name, pid_t process);

}  // namespace portcullis::bench
