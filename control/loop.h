// SPDX-License-Identifier: MIT
// The control thread's event loop, and the lane: one background thread for work that takes long.
// Thread: everything runs and is called on the loop's thread, but post() and stop(): any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace portcullis::control {

using Task = std::function<void()>;

/// Waits for descriptors, timers and posted tasks with epoll; calls back one at a time.
class Loop {
 public:
  using Ready = std::function<void(std::uint32_t epoll_events)>;

  /// Errors: the system gives no descriptors.
  static Result<std::unique_ptr<Loop>> make();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() = default;

  /// Calls `ready` while any of `epoll_events` (level-triggered) holds, until forget(fd).
  /// Owner: the caller keeps fd open until forget().
  Result<void> watch(int fd, std::uint32_t epoll_events, Ready ready);
  void change(int fd, std::uint32_t epoll_events);
  void forget(int fd);
  /// Calls `task` every `period`, for as long as the loop lives.
  Result<void> every(std::chrono::milliseconds period, Task task);
  /// Runs `task` in the loop, after what is already under way. Thread: any.
  void post(Task task);
  /// Serves until stop(). A stop() ahead of run() ends it at once.
  void run();
  /// Thread: any, also a task of the loop.
  void stop();

 private:
  struct Watch {
    std::uint32_t serial = 0;  // Tells a watch from an earlier one of the same descriptor.
    std::shared_ptr<Ready> ready;
  };
  Loop() = default;
  void wake() const;
  void run_posted();

  UniqueFd epoll_;
  UniqueFd wakeup_;               // eventfd: a task was posted.
  std::vector<UniqueFd> timers_;  // timerfds.
  std::unordered_map<int, Watch> watches_;
  std::uint32_t next_serial_ = 0;

  std::mutex posted_mutex_;  // Guards the two below.
  std::vector<Task> posted_;
  bool stopping_ = false;
};

/// Does jobs one after another on a thread of its own. A job starts only after the `done` of the
/// job before it has run in the loop, so that what `done` changes is what the next job sees.
class Lane {
 public:
  explicit Lane(Loop& loop);
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  /// Waits for the job under way; jobs not begun are dropped, and so is every `done`.
  ~Lane();

  /// `job` runs on the lane's thread, then `done` in the loop. Thread: the loop's.
  void run(Task job, Task done);
  /// As run(), but ahead of all that waits: for a job in several steps, from the `done` of one.
  void run_next(Task job, Task done);
  /// No job is under way or waits. Thread: the loop's.
  [[nodiscard]] bool idle() const { return !busy_ && waiting_.empty(); }

 private:
  struct Work {
    Task job;
    Task done;
  };
  void start_next();
  void serve(const std::stop_token& stop);

  Loop& loop_;
  // Of the loop's thread.
  std::deque<Work> waiting_;
  bool busy_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // Expires with the lane.

  std::mutex mutex_;  // Guards current_.
  std::condition_variable_any begin_;
  std::shared_ptr<Work> current_;
  std::jthread thread_;  // Last: it uses all of the above.
};

}  // namespace portcullis::control
