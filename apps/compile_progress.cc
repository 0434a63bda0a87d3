// SPDX-License-Identifier: MIT
#include "apps/compile_progress.h"

#include <chrono>
#include <cstdio>
#include <memory>

#include <unistd.h>

#include <fmt/format.h>

namespace portcullis::apps {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{1};
constexpr const char* kClearLine = "\r\x1b[K";

class TerminalLine {
 public:
  TerminalLine() = default;
  TerminalLine(const TerminalLine&) = delete;
  TerminalLine& operator=(const TerminalLine&) = delete;
  ~TerminalLine() {
    if (written_) {
      write(kClearLine);
    }
  }

  void hear(const classifier::CompileProgress& progress) {
    if (Clock::now() - begin_ < kPatience) {
      return;
    }
    written_ = true;
    const std::size_t percent = progress.total == 0 ? 0 : progress.done * 100 / progress.total;
    write(fmt::format("{}compiling: {} {} %", kClearLine, progress.phase, percent));
  }

 private:
  static void write(const std::string& text) {
    fmt::print(stderr, "{}", text);
    std::fflush(stderr);
  }

  Clock::time_point begin_ = Clock::now();
  bool written_ = false;
};

}  // namespace

std::function<void(const classifier::CompileProgress&)> progress_on_terminal() {
  if (::isatty(STDERR_FILENO) == 0) {
    return {};
  }
  // The line goes when the compile's options do.
  return [line = std::make_shared<TerminalLine>()](const classifier::CompileProgress& progress) {
    line->hear(progress);
  };
}

}  // namespace portcullis::apps
