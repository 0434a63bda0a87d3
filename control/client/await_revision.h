// SPDX-License-Identifier: MIT
// Waiting for a revision, for scripts that go on when a change is in force.
// Thread: any; it blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace portcullis::control {

/// The number of the running revision, as soon as it is `revision` or a later one; else what it is
/// when `timeout` is over, and half a second later at most. The daemon may start, or start again,
/// meanwhile. Between its questions, some milliseconds apart at first and a second in the end, it
/// is not connected. Errors: no daemon tells by then, for the reason of the last try; or one
/// refuses to tell.
Result<std::uint64_t> await_revision(const std::string& socket,
                                     std::uint64_t revision,
                                     std::chrono::milliseconds timeout);

}  // namespace portcullis::control
