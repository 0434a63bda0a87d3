// SPDX-License-Identifier: MIT
// Fuzzes the reading of a configuration: any bytes give a Config or problems, never a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "config/load.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), count);
  const auto loaded = portcullis::config::parse(text, "fuzz.toml");
  for (const portcullis::Error& problem : loaded.problems) {
    PORTCULLIS_CHECK(!problem.message.empty());
    PORTCULLIS_CHECK(problem.where.starts_with("fuzz.toml"));
  }
  return 0;
}
