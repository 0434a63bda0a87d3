// SPDX-License-Identifier: MIT
#include "control/loop.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/check.h"

namespace portcullis::control {
namespace {

constexpr std::size_t kEventsMax = 64;

std::uint64_t tag_of(int fd, std::uint32_t serial) {
  return (std::uint64_t{serial} << 32U) | static_cast<std::uint32_t>(fd);
}

/// Empties an eventfd or timerfd, so that it is not ready any more.
void drain(int fd) {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(fd, &count, sizeof count);
}

}  // namespace

Result<std::unique_ptr<Loop>> Loop::make() {
  std::unique_ptr<Loop> loop(new Loop);
  loop->epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  loop->wakeup_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!loop->epoll_ || !loop->wakeup_) {
    return fail(fmt::format("cannot make the event loop: {}", std::strerror(errno)));
  }
  const int wakeup = loop->wakeup_.get();
  PORTCULLIS_TRY_VOID(loop->watch(wakeup, EPOLLIN, [wakeup](std::uint32_t) { drain(wakeup); }));
  return loop;
}

Result<void> Loop::watch(int fd, std::uint32_t epoll_events, Ready ready) {
  const std::uint32_t serial = ++next_serial_;
  epoll_event event{.events = epoll_events, .data = {.u64 = tag_of(fd, serial)}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return fail(fmt::format("cannot watch descriptor {}: {}", fd, std::strerror(errno)));
  }
  watches_[fd] = {.serial = serial, .ready = std::make_shared<Ready>(std::move(ready))};
  return {};
}

void Loop::change(int fd, std::uint32_t epoll_events) {
  const auto found = watches_.find(fd);
  PORTCULLIS_CHECK(found != watches_.end());
  epoll_event event{.events = epoll_events, .data = {.u64 = tag_of(fd, found->second.serial)}};
  PORTCULLIS_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void Loop::forget(int fd) {
  if (watches_.erase(fd) > 0) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
}

Result<void> Loop::every(std::chrono::milliseconds period, Task task) {
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  const timespec span{.tv_sec = period.count() / 1000,
                      .tv_nsec = period.count() % 1000 * 1'000'000};
  const itimerspec schedule{.it_interval = span, .it_value = span};
  if (!timer || ::timerfd_settime(timer.get(), 0, &schedule, nullptr) != 0) {
    return fail(fmt::format("cannot make a timer: {}", std::strerror(errno)));
  }
  const int fd = timer.get();
  PORTCULLIS_TRY_VOID(watch(fd, EPOLLIN, [fd, task = std::move(task)](std::uint32_t) {
    drain(fd);
    task();
  }));
  timers_.push_back(std::move(timer));
  return {};
}

void Loop::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t put = ::write(wakeup_.get(), &one, sizeof one);
}

void Loop::post(Task task) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(task));
  }
  wake();
}

void Loop::stop() {
  {
    const std::lock_guard lock(posted_mutex_);
    stopping_ = true;
  }
  wake();
}

void Loop::run_posted() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(posted_mutex_);
    tasks.swap(posted_);
  }
  for (const Task& task : tasks) {
    task();
  }
}

void Loop::run() {
  std::array<epoll_event, kEventsMax> events{};
  while (true) {
    run_posted();
    {
      const std::lock_guard lock(posted_mutex_);
      if (std::exchange(stopping_, false)) {
        return;
      }
    }
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    PORTCULLIS_CHECK(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; ++i) {
      const std::uint64_t tag = events.at(static_cast<std::size_t>(i)).data.u64;
      const auto found = watches_.find(static_cast<int>(tag & 0xffff'ffffU));
      // An earlier callback of this round may have closed it, and opened another of its number.
      if (found == watches_.end() || found->second.serial != tag >> 32U) {
        continue;
      }
      const std::shared_ptr<Ready> ready = found->second.ready;  // It may forget itself.
      (*ready)(events.at(static_cast<std::size_t>(i)).events);
    }
  }
}

Lane::Lane(Loop& loop)
    : loop_(loop), thread_([this](const std::stop_token& stop) { serve(stop); }) {}

Lane::~Lane() {
  thread_.request_stop();
  thread_.join();
}

void Lane::run(Task job, Task done) {
  waiting_.push_back({.job = std::move(job), .done = std::move(done)});
  start_next();
}

void Lane::run_next(Task job, Task done) {
  waiting_.push_front({.job = std::move(job), .done = std::move(done)});
  start_next();
}

void Lane::start_next() {
  if (busy_ || waiting_.empty()) {
    return;
  }
  busy_ = true;
  {
    const std::lock_guard lock(mutex_);
    current_ = std::make_shared<Work>(std::move(waiting_.front()));
  }
  waiting_.pop_front();
  begin_.notify_one();
}

void Lane::serve(const std::stop_token& stop) {
  while (true) {
    std::shared_ptr<Work> work;
    {
      std::unique_lock lock(mutex_);
      begin_.wait(lock, stop, [this] { return current_ != nullptr; });
      if (stop.stop_requested()) {
        return;
      }
      work = std::exchange(current_, nullptr);
    }
    work->job();
    work->job = nullptr;  // What it captured ends here, not in the loop.
    loop_.post([this, work = std::move(work), alive = std::weak_ptr<int>(alive_)] {
      if (alive.expired()) {
        return;
      }
      work->done();
      busy_ = false;
      start_next();
    });
  }
}

}  // namespace portcullis::control
