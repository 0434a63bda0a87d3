// SPDX-License-Identifier: MIT
// The levelled log of the control path, to standard error; systemd's journal reads its prefixes.
// Thread: any. Never called on the packet path.
#pragma once

#include <string_view>

#include <spdlog/spdlog.h>

#include "base/result.h"

namespace portcullis::log {

/// Sets level ("trace" .. "error") and format: "<N>" sd-daemon prefixes where the journal reads
/// standard error, else time and colour for a person.
Result<void> start(std::string_view level);

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

}  // namespace portcullis::log
