// SPDX-License-Identifier: MIT
// Times and spans of time as people read them.
// Thread: pure functions.
#pragma once

#include <chrono>
#include <string>

namespace portcullis {

/// "2026-11-27T09:20:11Z": RFC 3339, UTC, whole seconds.
std::string time_text(std::chrono::system_clock::time_point time);

/// "9s", "7m12s", "5h2m", "3d4h": the two largest units. Less than nothing is "0s".
std::string span_text(std::chrono::seconds span);

}  // namespace portcullis
