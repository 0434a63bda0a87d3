// SPDX-License-Identifier: MIT
// A cluster read from manifests for the verbs that need no daemon: snapshot, rules and table.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "classifier/rule.h"
#include "classifier/table.h"
#include "observe/enforced.h"
#include "policy/lower.h"
#include "policy/snapshot.h"

namespace portcullis::apps {

struct Cluster {
  policy::Snapshot snapshot;
  policy::Lowered lowered;
  std::unique_ptr<const classifier::Table> table;

  [[nodiscard]] observe::Enforced enforced() const {
    return {*table, lowered.rules, lowered.provenance, lowered.endpoints};
  }
};

/// What was read, and everything wrong or doubtful about it, also across objects.
struct Reading {
  policy::Loaded loaded;
  std::optional<policy::Lowered> lowered;  // Absent after an error.
};

/// Reads and lowers. A path that cannot be read and an address with two owners are diagnostics too.
Reading read_cluster(const std::vector<std::string>& paths, classifier::DefaultMode mode);

/// Reads, lowers and compiles. Diagnostics go to standard error; nothing on any error.
std::optional<Cluster> open_cluster(const std::vector<std::string>& paths,
                                    classifier::DefaultMode mode);

/// "kubernetes" or "deny". REQUIRES: one of them (CLI::IsMember has checked it).
classifier::DefaultMode default_mode_of(const std::string& text);

/// Writes diagnostics to standard error, one a line.
void print_diagnostics(const std::vector<policy::Diagnostic>& diagnostics);

}  // namespace portcullis::apps
