// SPDX-License-Identifier: MIT
// The verbs of the command `portcullis`, by group. Each group adds its verbs to the program; a verb
// that ran has stored its exit code.
#pragma once

#include <CLI/CLI.hpp>

namespace portcullis::apps {

/// Exit codes as diff(1) has them.
inline constexpr int kExitPass = 0;
inline constexpr int kExitDiffers = 1;
inline constexpr int kExitTrouble = 2;

/// validate, test: need manifests and no daemon.
void add_offline_verbs(CLI::App& program, int& exit_code);
/// explain: from manifests, without a daemon.
void add_explain_verb(CLI::App& program, int& exit_code);
/// replay: a capture through the pipeline.
void add_replay_verb(CLI::App& program, int& exit_code);

}  // namespace portcullis::apps
