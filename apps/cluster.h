// SPDX-License-Identifier: MIT
// A cluster read from manifests for the verbs that need no daemon: snapshot, rules and table.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "classifier/rule.h"
#include "classifier/table.h"
#include "config/config.h"
#include "observe/enforced.h"
#include "policy/lower.h"
#include "policy/snapshot.h"

namespace portcullis::apps {

/// Where the rules of a cluster come from.
struct ClusterSource {
  std::vector<std::string> manifests;
  std::string default_mode = "kubernetes";
  /// A daemon's, for its static rules, tunnels, other protocols, default mode, pod CIDRs.
  std::string config;
};

/// Adds --manifests, which it returns, --default and --config. Owner: `source` must outlive the
/// verb.
CLI::Option* add_cluster_options(CLI::App& verb, ClusterSource& source);

struct Cluster {
  policy::Snapshot snapshot;
  policy::Lowered lowered;
  std::unique_ptr<const classifier::Table> table;
  config::Tunnels tunnels;  // Of ClusterSource::config; so is the next.
  config::NonIp non_ip;

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
Reading read_cluster(const std::vector<std::string>& paths, const policy::LowerOptions& lowering);

/// Reads, lowers and compiles. Diagnostics go to standard error; nothing on any error.
std::optional<Cluster> open_cluster(const ClusterSource& source);

/// Writes diagnostics to standard error, one a line.
void print_diagnostics(const std::vector<policy::Diagnostic>& diagnostics);

}  // namespace portcullis::apps
