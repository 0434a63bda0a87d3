// SPDX-License-Identifier: MIT
#include "bench/throughput/child.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace portcullis::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kToldMax = 400;  // Of what a child said, in an error.

/// The end of what a child said, on one line.
std::string last_words(const std::string& said) {
  std::string words = said.substr(said.size() - std::min(said.size(), kToldMax));
  std::ranges::replace_if(
      words, [](unsigned char c) { return c < ' '; }, ' ');
  return words;
}

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

void die_with_parent() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

}  // namespace

Result<Child> Child::start(const std::vector<std::string>& arguments) {
  std::vector<std::string> kept = arguments;
  std::vector<char*> argv;
  for (std::string& argument : kept) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  int terminal = -1;
  const pid_t process = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (process < 0) {
    return fail(fmt::format("cannot start {}: {}", arguments[0], std::strerror(errno)));
  }
  if (process == 0) {
    die_with_parent();
    execvp(argv[0], argv.data());
    fmt::print("cannot start {}: {}\n", argv[0], std::strerror(errno));
    std::fflush(stdout);
    _exit(127);
  }
  return Child(process, terminal);
}

Result<Child> Child::fork(const std::function<void(int)>& work) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail(fmt::format("cannot make a socket: {}", std::strerror(errno)));
  }
  const pid_t process = ::fork();
  if (process == 0) {
    die_with_parent();
    close(ends[0]);
    work(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  if (process < 0) {
    close(ends[0]);
    return fail(fmt::format("cannot fork: {}", std::strerror(errno)));
  }
  return Child(process, ends[0]);
}

Child::Child(Child&& other) noexcept
    : process_(std::exchange(other.process_, -1)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      unread_(std::move(other.unread_)) {}

Child::~Child() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    close(descriptor_);
  }
}

Result<void> Child::send(std::string_view text) {
  if (write(descriptor_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return fail(fmt::format("the child listens no more: {}", std::strerror(errno)));
  }
  return {};
}

Result<std::string> Child::read_until(std::string_view mark, double seconds) {
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (true) {
    if (const std::size_t at = unread_.find(mark); at != std::string::npos) {
      std::string said = unread_.substr(0, at);
      unread_.erase(0, at + mark.size());
      return said;
    }
    const std::chrono::duration<double, std::milli> left = end - Clock::now();
    pollfd waiting{.fd = descriptor_, .events = POLLIN, .revents = 0};
    std::array<char, 4096> some{};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count()) + 1) <= 0) {
      return fail(fmt::format("no answer in {:.0f} seconds: {}", seconds, last_words(unread_)));
    }
    const ssize_t count = read(descriptor_, some.data(), some.size());
    if (count <= 0) {
      return fail(fmt::format("ended early: {}", last_words(unread_)));
    }
    unread_.append(some.data(), static_cast<std::size_t>(count));
  }
}

void Child::pause() const {
  kill(process_, SIGSTOP);
}

void Child::resume() const {
  kill(process_, SIGCONT);
}

ThreadTimes thread_times(std::string_view name, pid_t process) {
  const std::filesystem::path tasks = fmt::format("/proc/{}/task", process);
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    if (first_line(task.path() / "comm") == name) {
      // Nanoseconds on a processor, waiting for one, and time slices.
      std::ifstream file(task.path() / "schedstat");
      ThreadTimes times;
      file >> times.ran_ns >> times.waited_ns;
      return times;
    }
  }
  return {};
}

}  // namespace portcullis::bench
