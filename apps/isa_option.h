// SPDX-License-Identifier: MIT
// The option --isa of both programs.
#pragma once

#include <CLI/CLI.hpp>

namespace portcullis::apps {

/// Forces the lookup's kernel by name. A name that is no kernel's or that this processor lacks ends
/// the parsing with a message.
void add_isa_option(CLI::App& program);

}  // namespace portcullis::apps
