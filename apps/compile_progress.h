// SPDX-License-Identifier: MIT
// Word of a compile that takes long, for who waits at a terminal.
#pragma once

#include <functional>

#include "classifier/compile.h"

namespace portcullis::apps {

/// For CompileOptions::progress: after a second, a line on standard error that is written over and
/// cleared at the end. Empty where standard error is no terminal.
std::function<void(const classifier::CompileProgress&)> progress_on_terminal();

}  // namespace portcullis::apps
