// SPDX-License-Identifier: MIT
// Crew: the threads of one compile. The calling thread and those it hires for a while take pieces
// of work one after another; they see when to stop, and the caller hears how far they are.
// Thread: the one that made it calls everything; stopped() and advance() also inside pieces.
// Owner: hired threads end before the call that hired them returns, or with their Aside.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>
#include <thread>

#include "classifier/compile.h"

namespace portcullis::classifier {

class Crew {
 public:
  /// `worker` is below threads(), and no two pieces run with the same one at a time.
  using Piece = std::function<void(unsigned worker, std::size_t index)>;

  /// Of `size` steps or so; where CompileOptions::threads is 0, small work gets one thread.
  Crew(const CompileOptions& options, std::size_t size);
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  [[nodiscard]] unsigned threads() const { return threads_; }
  /// Somebody has asked to stop: loops end early, and what they leave behind means nothing.
  [[nodiscard]] bool stopped() const { return stop_.stop_requested(); }
  [[nodiscard]] const std::stop_token& stop() const { return stop_; }

  /// The next phase begins, of `total` steps; the caller is told.
  void begin(std::string_view phase, std::size_t total);
  /// So many steps of the phase are done.
  void advance(std::size_t steps = 1);

  /// Calls piece(worker, i) for every i below `count`, those of lower index first, and waits for
  /// all. Once stopped, pieces that have not begun are left out.
  /// Errors: throws what a piece threw, after all have ended.
  void each(std::size_t count, const Piece& piece);

  /// Calls work(first, last) for runs that make up 0..count-1 together, as each() does.
  void each_range(std::size_t count,
                  const std::function<void(std::size_t first, std::size_t last)>& work);

  /// Calls make(worker, i) as each() does, and then take(i) for one after another, in order, on any
  /// of the threads. At most window() pieces are made and not taken, so results may lie in as many
  /// places, at i % window(). `take` returns false to end it all. Once stopped, nothing is taken.
  void in_order(std::size_t count,
                const Piece& make,
                const std::function<bool(std::size_t index)>& take);
  [[nodiscard]] std::size_t window() const { return std::size_t{threads_} * kMadePerThread; }

  /// Work beside that of the crew. Its thread counts as one of them as long as it is at it.
  class Aside {
   public:
    /// Waits for the end. Errors: throws what the work threw.
    void join();

   private:
    friend class Crew;
    std::shared_ptr<std::atomic<bool>> busy_;
    std::exception_ptr failure_;
    std::jthread thread_;  // Last: it uses the above.
  };
  /// Starts `work` on a thread of its own; with one thread only, it is done on return.
  /// REQUIRES: the Aside before it was joined.
  std::unique_ptr<Aside> beside(std::function<void()> work);

 private:
  static constexpr std::size_t kMadePerThread = 4;
  using Clock = std::chrono::steady_clock;
  struct Round;

  [[nodiscard]] unsigned free_threads() const;
  void tell(bool always);

  std::stop_token stop_;
  std::function<void(const CompileProgress&)> progress_;
  unsigned threads_;
  std::thread::id caller_ = std::this_thread::get_id();
  std::shared_ptr<std::atomic<bool>> aside_busy_;  // Of the last Aside, or null.

  std::string_view phase_;
  std::size_t total_ = 0;
  std::atomic<std::size_t> done_{0};
  Clock::time_point told_;
};

}  // namespace portcullis::classifier
