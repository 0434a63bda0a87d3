// SPDX-License-Identifier: MIT
// What the daemon tells of itself, as JSON: stable names, listed in docs/protocol.md.
// Thread: the control thread.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include <nlohmann/json.hpp>

#include "config/config.h"
#include "control/change/drain.h"
#include "control/change/open_changes.h"
#include "control/change/trial.h"
#include "control/reconcile.h"
#include "policy/snapshot.h"

namespace portcullis::control {

class PortDriver;

/// Facts of the process that do not change.
struct Daemon {
  config::Config config;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  PortDriver* port_driver = nullptr;  // None: ports do not change. It outlives the daemon's verbs.
};

/// {severity, file, line, column, object, field, message}; a place that is unknown is left out.
nlohmann::json to_json(const policy::Diagnostic& diagnostic);
/// The first diagnostics, as many as one answer may hold, errors ahead of warnings.
nlohmann::json to_json(std::span<const policy::Diagnostic> diagnostics);
nlohmann::json to_json(const Revision& revision);
nlohmann::json to_json(const RuleName& name);

/// Null where there is none.
nlohmann::json trial_json(const Trial& trial);

/// The result of `history`: revisions, newest first.
nlohmann::json history_json(const Reconcile& reconcile);
/// Changes that are not over yet, and the last that came to nothing.
struct Pending {
  const OpenChanges& open;
  const Trial& trial;
  const std::optional<Undone>& last_undone;
  const std::optional<Drain>& drain;
};
/// The result of `status`.
nlohmann::json status_json(const Daemon& daemon,
                           const Reconcile& reconcile,
                           const Pending& pending);

}  // namespace portcullis::control
