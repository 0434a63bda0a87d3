// SPDX-License-Identifier: MIT
// The verbs of the command `portcullis`, by group. Each group adds its verbs to the program; a verb
// that ran has stored its exit code.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "control/ask.h"

namespace portcullis::apps {

/// Exit codes as diff(1) has them.
inline constexpr int kExitPass = 0;
inline constexpr int kExitDiffers = 1;
inline constexpr int kExitTrouble = 2;

/// validate, test: need manifests and no daemon.
void add_offline_verbs(CLI::App& program, int& exit_code);
/// explain: from manifests, or else by the daemon.
void add_explain_verb(CLI::App& program, int& exit_code);
/// replay: a capture through the pipeline.
void add_replay_verb(CLI::App& program, int& exit_code);
/// table: what manifests compile to.
void add_table_verb(CLI::App& program, int& exit_code);
/// commit, status, history, rollback: ask the daemon.
void add_daemon_verbs(CLI::App& program, int& exit_code);

/// conntrack list, top, stats, flush: the daemon's flows.
void add_conntrack_verb(CLI::App& program, int& exit_code);

/// pod and policy add, set, remove: single objects of what the daemon enforces.
void add_edit_verbs(CLI::App& program, int& exit_code);

/// port add, remove, list: pods' ports that come and go.
void add_port_verb(CLI::App& program, int& exit_code);

/// Options of every verb that asks the daemon.
struct DaemonOptions {
  std::string socket = "/run/portcullis/control.sock";
  int timeout_s = 60;
  std::string output = "table";
};

/// Adds -s, --timeout and, if the verb has none yet, -o. Owner: `options` must outlive the verb.
void add_daemon_options(CLI::App& verb, DaemonOptions& options);
control::Target target_of(const DaemonOptions& options);
/// Prints what the daemon told; returns the exit code.
int tell(const control::Told& told);

}  // namespace portcullis::apps
