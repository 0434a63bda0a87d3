// SPDX-License-Identifier: MIT
// TOML -> Config. Strict: a key that is unknown, of the wrong type, out of its range or at odds
// with another is an error with file:line:column and, where one is likely, what was meant.
// Thread: any; no global state.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace portcullis::config {

/// What a text says and everything that is wrong with it, in order of line and column. The
/// configuration may be used only if ok().
struct Loaded {
  Config config;
  std::vector<Error> problems;  // Error::where is "NAME:LINE:COLUMN".

  [[nodiscard]] bool ok() const { return problems.empty(); }
};

/// Reads a whole configuration. `name` stands for the file in messages.
/// Errors: in Loaded::problems, all of them; a syntax error ends the reading and stands alone.
Loaded parse(std::string_view text, std::string_view name);

/// Reads a file of at most 1 MiB.
/// Errors: cannot be read; has problems: one message with a line for each, `where` empty.
Result<Config> load(const std::filesystem::path& path);

/// Every key there is, as "section.key"; those of a port as "ports.NAME.key".
std::vector<std::string> key_names();

}  // namespace portcullis::config
