// SPDX-License-Identifier: MIT
#include "base/time_text.h"

#include <algorithm>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace portcullis {

std::string time_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", parts);
}

std::string span_text(std::chrono::seconds span) {
  const auto s = std::max<std::chrono::seconds::rep>(span.count(), 0);
  if (s >= 86'400) {
    return fmt::format("{}d{}h", s / 86'400, s % 86'400 / 3'600);
  }
  if (s >= 3'600) {
    return fmt::format("{}h{}m", s / 3'600, s % 3'600 / 60);
  }
  return s >= 60 ? fmt::format("{}m{}s", s / 60, s % 60) : fmt::format("{}s", s);
}

}  // namespace portcullis
