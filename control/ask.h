// SPDX-License-Identifier: MIT
// The CLI's verbs that ask the daemon: one function each, from words to exit code.
// Thread: any; each call has a connection of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/snapshot.h"

namespace portcullis::control {

/// Which daemon, and how its answers are wanted.
struct Target {
  std::string socket = "/run/portcullis/control.sock";
  std::chrono::milliseconds timeout{60'000};
  bool json = false;  // One object a line for programs, else tables for people.
};

/// Exit code as diff(1): 0 done or allowed, 1 denied or not yet, 2 trouble.
struct Told {
  int exit_code = 0;
  std::string output;   // For standard output.
  std::string trouble;  // For standard error.
};

/// What becomes of flows that a change denies, in the words of docs/protocol.md.
struct EstablishedWords {
  std::string word;           // Empty: as the daemon is configured.
  std::uint32_t drain_s = 0;  // 0: as long as the daemon has it. Without a word: "drain".
};

/// What a commit brings beside its manifests.
struct CommitWords {
  std::string comment;
  std::uint32_t confirm_s = 0;      // On trial for so long; 0: for good.
  std::vector<std::string> guards;  // Of the trial; docs/protocol.md.
  EstablishedWords established;
};
Told ask_commit(const Target& target,
                std::span<const policy::Manifest> manifests,
                const CommitWords& words);
/// Of the revision on trial, whichever it is, or of this one.
Told ask_confirm(const Target& target, std::optional<std::uint64_t> revision);
/// Exit code 1: enforcing them would change something.
Told ask_plan(const Target& target, std::span<const policy::Manifest> manifests);
Told ask_status(const Target& target);
/// As soon as this revision or a later one runs, within the timeout. Exit code 1: an earlier one
/// still does.
Told ask_status_of(const Target& target, std::uint64_t revision);
Told ask_history(const Target& target);
/// Of the running revision, or of this one.
Told ask_show(const Target& target, std::optional<std::uint64_t> revision);
/// Exit code 1: they differ. Absent: the running one, and the one ahead of it.
Told ask_diff(const Target& target,
              std::optional<std::uint64_t> from,
              std::optional<std::uint64_t> to);
Told ask_rollback(const Target& target,
                  std::optional<std::uint64_t> revision,
                  const std::string& comment,
                  const EstablishedWords& established = {});

/// One step of docs/protocol.md's `edit`, of all its objects at once.
struct EditWords {
  std::string step;                         // "pod.add".
  std::vector<policy::Manifest> manifests;  // Of add and set.
  std::vector<std::string> names;           // Of remove.
  std::string comment;
};
Told ask_edit(const Target& target, const EditWords& words);

/// A port to add; no MTU: the daemon's own default.
struct PortWords {
  std::string name;
  std::string vdev;
  std::vector<std::string> addresses;
  std::optional<std::uint16_t> mtu;
};
Told ask_port_add(const Target& target, const PortWords& words);
Told ask_port_remove(const Target& target, const std::string& name);
Told ask_port_list(const Target& target);

struct Question {
  std::string from;
  std::string to;
  std::string protocol;
  std::string port;  // "-" or empty: none.
};
Told ask_explain(const Target& target, const Question& question);

/// Which flows, in the words of docs/protocol.md; what is empty is left out.
struct FlowWords {
  std::string from;
  std::string to;
  std::string address;
  std::string protocol;
  std::string state;
  std::optional<std::uint16_t> port;
};
Told ask_flow_list(const Target& target, const FlowWords& words, std::uint32_t limit);
/// `by`: a word of docs/protocol.md.
Told ask_flow_top(const Target& target,
                  const FlowWords& words,
                  const std::string& by,
                  std::uint32_t limit);
Told ask_flow_stats(const Target& target);
Told ask_flow_flush(const Target& target, const FlowWords& words, bool all);

}  // namespace portcullis::control
