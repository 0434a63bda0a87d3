// SPDX-License-Identifier: MIT
#include "observe/findings.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace portcullis::observe {

using nlohmann::ordered_json;
using policy::Diagnostic;
using policy::Loaded;

namespace {

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::size_t count_of(const Loaded& loaded, Diagnostic::Severity severity) {
  return static_cast<std::size_t>(std::count_if(
      loaded.diagnostics.begin(), loaded.diagnostics.end(), [&](const Diagnostic& diagnostic) {
        return diagnostic.severity == severity;
      }));
}

std::string skipped_text(const Loaded& loaded) {
  const auto& skipped = loaded.snapshot.skipped;
  if (skipped.empty()) {
    return "";
  }
  std::string kinds;
  std::size_t total = 0;
  for (const auto& [kind, count] : skipped) {
    kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", kind, count);
    total += count;
  }
  return fmt::format("; skipped {} ({})", counted(total, "object", "objects"), kinds);
}

}  // namespace

std::string summary(const Loaded& loaded) {
  const policy::Snapshot& snapshot = loaded.snapshot;
  return fmt::format(
      "{}, {}, {}, {}{}; {}, {}",
      counted(snapshot.policies.size(), "policy", "policies"),
      counted(snapshot.pods.size(), "pod", "pods"),
      counted(snapshot.namespaces.size(), "namespace", "namespaces"),
      counted(snapshot.nodes.size(), "node", "nodes"),
      skipped_text(loaded),
      counted(count_of(loaded, Diagnostic::Severity::error), "error", "errors"),
      counted(count_of(loaded, Diagnostic::Severity::warning), "warning", "warnings"));
}

std::string to_text(const Loaded& loaded) {
  std::string out;
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    out += to_string(diagnostic) + "\n";
  }
  return out + summary(loaded) + "\n";
}

std::string to_json(const Loaded& loaded) {
  ordered_json diagnostics = ordered_json::array();
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    const bool error = diagnostic.severity == Diagnostic::Severity::error;
    diagnostics.push_back({{"severity", error ? "error" : "warning"},
                           {"file", diagnostic.where.file},
                           {"line", diagnostic.where.line},
                           {"column", diagnostic.where.column},
                           {"object", diagnostic.object},
                           {"field", diagnostic.field},
                           {"message", diagnostic.message}});
  }
  const policy::Snapshot& snapshot = loaded.snapshot;
  const ordered_json out{{"ok", loaded.ok()},
                         {"policies", snapshot.policies.size()},
                         {"pods", snapshot.pods.size()},
                         {"namespaces", snapshot.namespaces.size()},
                         {"nodes", snapshot.nodes.size()},
                         {"skipped", snapshot.skipped},
                         {"diagnostics", std::move(diagnostics)}};
  // Manifests may quote any bytes; replace what is no UTF-8 rather than throw.
  return out.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace portcullis::observe
