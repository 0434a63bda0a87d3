// SPDX-License-Identifier: MIT
#include "apps/service.h"

#include <cstdint>
#include <ctime>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace portcullis::apps {

void tell_service_manager(const char* state) {
  ::sd_notify(0, state);
}

void tell_service_manager_reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::string state = fmt::format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=Reloading",
                                        now.tv_sec * 1'000'000 + now.tv_nsec / 1000);
  ::sd_notify(0, state.c_str());
}

std::chrono::milliseconds watchdog_period() {
  std::uint64_t limit_us = 0;
  if (::sd_watchdog_enabled(0, &limit_us) <= 0) {
    return std::chrono::milliseconds(0);
  }
  // Twice within the limit, as sd_watchdog_enabled(3) asks.
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::microseconds(limit_us / 2));
}

}  // namespace portcullis::apps
