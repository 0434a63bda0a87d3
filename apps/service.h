// SPDX-License-Identifier: MIT
// What systemd wants to hear of a service. Does nothing where systemd did not start us.
// Thread: any.
#pragma once

#include <chrono>

namespace portcullis::apps {

/// Sends lines of NAME=VALUE.
void tell_service_manager(const char* state);
/// Sends RELOADING=1 with the time that Type=notify-reload needs.
void tell_service_manager_reloading();
/// How often WATCHDOG=1 is due; 0: not asked for.
std::chrono::milliseconds watchdog_period();

}  // namespace portcullis::apps
