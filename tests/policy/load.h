// SPDX-License-Identifier: MIT
// load() of a text, for tests: what it holds and what it complains of.
#pragma once

#include <string>
#include <string_view>

#include "policy/snapshot.h"

namespace portcullis::policy {

inline Loaded load_text(std::string_view text, std::string name = "m.yaml") {
  const Manifest manifest{std::move(name), std::string(text)};
  return load({&manifest, 1});
}

/// Every diagnostic, a line each.
inline std::string complaints(const Loaded& loaded) {
  std::string out;
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    out += to_string(diagnostic) + "\n";
  }
  return out;
}

}  // namespace portcullis::policy
