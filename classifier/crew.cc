// SPDX-License-Identifier: MIT
#include "classifier/crew.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include <sched.h>

namespace portcullis::classifier {
namespace {

constexpr unsigned kThreadsMax = 64;
/// Hiring a thread pays from so much work on; a range that each_range() hands out is as long.
constexpr std::size_t kStepsPerThread = 4096;
constexpr std::chrono::milliseconds kTellEvery{50};

/// Processors that the calling thread may use: poll-mode workers own the others.
unsigned processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
}

unsigned threads_for(const CompileOptions& options, std::size_t size) {
  const std::size_t wanted =
      options.threads != 0
          ? options.threads
          : std::min<std::size_t>(processors(), size / kStepsPerThread + std::size_t{1});
  return static_cast<unsigned>(std::clamp<std::size_t>(wanted, 1, kThreadsMax));
}

/// A thread, or none where the system gives no more: the others do its share.
template <typename Work>
bool hire(std::vector<std::jthread>& threads, Work work) {
  try {
    threads.emplace_back(std::move(work));
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

}  // namespace

/// One each(): who takes which piece.
struct Crew::Round {
  const Crew& crew;
  std::size_t count;
  const Piece& piece;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr failure;  // The first; under the mutex.

  void run(unsigned worker) {
    try {
      while (!crew.stopped() && !failed.load()) {
        const std::size_t index = next.fetch_add(1);
        if (index >= count) {
          return;
        }
        piece(worker, index);
      }
    } catch (...) {
      failed.store(true);
      const std::lock_guard lock(mutex);
      if (failure == nullptr) {
        failure = std::current_exception();
      }
    }
  }
};

Crew::Crew(const CompileOptions& options, std::size_t size)
    : stop_(options.stop), progress_(options.progress), threads_(threads_for(options, size)) {}

void Crew::begin(std::string_view phase, std::size_t total) {
  phase_ = phase;
  total_ = total;
  done_.store(0);
  tell(true);
}

void Crew::advance(std::size_t steps) {
  done_.fetch_add(steps, std::memory_order_relaxed);
  if (progress_ && std::this_thread::get_id() == caller_) {
    tell(false);
  }
}

void Crew::tell(bool always) {
  if (!progress_) {
    return;
  }
  const Clock::time_point now = Clock::now();
  if (always || now - told_ >= kTellEvery) {
    told_ = now;
    progress_({.phase = phase_, .done = std::min(done_.load(), total_), .total = total_});
  }
}

unsigned Crew::free_threads() const {
  return threads_ - (aside_busy_ != nullptr && aside_busy_->load() ? 1 : 0);
}

void Crew::each(std::size_t count, const Piece& piece) {
  Round round{.crew = *this, .count = count, .piece = piece};
  {
    const auto hired = static_cast<unsigned>(
        std::min<std::size_t>(free_threads(), std::max<std::size_t>(count, 1)) - 1);
    std::vector<std::jthread> threads;
    threads.reserve(hired);
    for (unsigned worker = 1; worker <= hired; ++worker) {
      if (!hire(threads, [&round, worker] { round.run(worker); })) {
        break;
      }
    }
    round.run(0);
  }
  if (round.failure != nullptr) {
    std::rethrow_exception(round.failure);
  }
}

void Crew::each_range(std::size_t count,
                      const std::function<void(std::size_t first, std::size_t last)>& work) {
  each((count + kStepsPerThread - 1) / kStepsPerThread, [&](unsigned /*worker*/, std::size_t i) {
    work(i * kStepsPerThread, std::min(count, (i + 1) * kStepsPerThread));
  });
}

void Crew::in_order(std::size_t count,
                    const Piece& make,
                    const std::function<bool(std::size_t index)>& take) {
  const std::size_t window_size = window();
  std::mutex mutex;  // Guards all of these.
  std::condition_variable taken;
  std::vector<bool> made(window_size);
  std::size_t next = 0;
  bool taking = false;
  bool ended = false;

  // Takes what is next, as long as it is made. Only one thread is at it.
  const auto take_made = [&](std::unique_lock<std::mutex>& lock) {
    taking = true;
    while (made[next % window_size] && !ended) {
      lock.unlock();
      const bool go_on = stopped() || take(next);
      lock.lock();
      ended |= !go_on;
      made[next % window_size] = false;
      ++next;
      taken.notify_all();
    }
    taking = false;
  };
  const auto piece = [&](unsigned worker, std::size_t index) {
    std::unique_lock lock(mutex);
    // Whoever has piece `next` never waits, so this ends.
    taken.wait(lock, [&] { return index < next + window_size || ended; });
    if (ended) {
      return;
    }
    lock.unlock();
    make(worker, index);
    lock.lock();
    made[index % window_size] = true;
    if (!taking) {
      take_made(lock);
    }
  };
  each(count, [&](unsigned worker, std::size_t index) {
    try {
      piece(worker, index);
    } catch (...) {
      const std::lock_guard lock(mutex);
      ended = true;
      taken.notify_all();
      throw;
    }
  });
}

std::unique_ptr<Crew::Aside> Crew::beside(std::function<void()> work) {
  auto aside = std::make_unique<Aside>();
  aside->busy_ = std::make_shared<std::atomic<bool>>(true);
  const auto run = [aside = aside.get(), work = std::move(work)] {
    try {
      work();
    } catch (...) {
      aside->failure_ = std::current_exception();
    }
    aside->busy_->store(false);
  };
  std::vector<std::jthread> threads;
  if (free_threads() > 1 && hire(threads, run)) {
    aside->thread_ = std::move(threads.front());
    aside_busy_ = aside->busy_;
  } else {
    run();
  }
  return aside;
}

void Crew::Aside::join() {
  if (thread_.joinable()) {
    thread_.join();
  }
  if (failure_ != nullptr) {
    std::rethrow_exception(failure_);
  }
}

}  // namespace portcullis::classifier
