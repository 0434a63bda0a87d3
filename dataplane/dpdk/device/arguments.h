// SPDX-License-Identifier: MIT
// The arguments of DPDK's virtual devices, "NAME,key=value,...". Thread: any; pure functions.
#pragma once

#include <string_view>

#include "config/config.h"

namespace portcullis::dataplane {

/// Whether a port is a virtual device of this driver, as "net_memif".
[[nodiscard]] bool is_of_driver(const config::Port& port, std::string_view driver);

/// Value of `key` among a port's arguments; empty where it is not there.
[[nodiscard]] std::string_view device_argument(const config::Port& port, std::string_view key);

}  // namespace portcullis::dataplane
