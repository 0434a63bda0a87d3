// SPDX-License-Identifier: MIT
// The verbs that ask the running daemon: commit, confirm, plan, status, history, show,
// diff, rollback.
#include <charconv>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "apps/ctl.h"
#include "control/ask.h"
#include "policy/snapshot.h"

namespace portcullis::apps {

namespace {

struct CommitOptions {
  DaemonOptions daemon;
  std::vector<std::string> paths;
  control::CommitWords words;
};

struct RevisionOptions {
  DaemonOptions daemon;
  std::optional<std::uint64_t> revision;
};

struct StatusOptions {
  DaemonOptions daemon;
  std::string wait;  // "revision=N", or empty.
};

struct PlanOptions {
  DaemonOptions daemon;
  std::vector<std::string> paths;
};

struct DiffOptions {
  DaemonOptions daemon;
  std::optional<std::uint64_t> from;
  std::optional<std::uint64_t> to;
};

struct RollbackOptions {
  DaemonOptions daemon;
  std::optional<std::uint64_t> revision;
  std::string comment;
  control::EstablishedWords established;
};

/// What is there to commit; nothing, and a word about it, where nothing is.
std::optional<std::vector<policy::Manifest>> manifests_at(const std::vector<std::string>& paths) {
  auto manifests = policy::read_manifests(paths);
  if (!manifests) {
    fmt::print(stderr, "portcullis: {}\n", to_string(manifests.error()));
    return std::nullopt;
  }
  if (manifests->empty()) {
    fmt::print(stderr, "portcullis: no *.yaml, *.yml or *.json file there: nothing to commit\n");
    return std::nullopt;
  }
  return *std::move(manifests);
}

void add_paths(CLI::App& verb, std::vector<std::string>& paths) {
  verb.add_option("paths", paths, "Files, directories, or - for standard input")
      ->required()
      ->type_name("PATH");
}

int commit(const CommitOptions& options) {
  const auto manifests = manifests_at(options.paths);
  return manifests ? tell(control::ask_commit(target_of(options.daemon), *manifests, options.words))
                   : kExitTrouble;
}

int plan(const PlanOptions& options) {
  const auto manifests = manifests_at(options.paths);
  return manifests ? tell(control::ask_plan(target_of(options.daemon), *manifests)) : kExitTrouble;
}

/// A span of time in seconds, up to a week.
void take_seconds(CLI::Option* option) {
  option
      ->transform(CLI::AsNumberWithUnit(
          std::map<std::string, std::uint32_t>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86'400}}))
      ->check(CLI::Range(1, 604'800))
      ->type_name("TIME");
}

void add_established(CLI::App& verb, control::EstablishedWords& words) {
  verb.add_option("--established",
                  words.word,
                  "What becomes of running flows that it denies: revalidate ends them, keep lets "
                  "them go on, drain for a time; unsaid: as the daemon is configured")
      ->check(CLI::IsMember({"revalidate", "drain", "keep"}))
      ->type_name("WORD");
  take_seconds(verb.add_option(
      "--drain", words.drain_s, "Let them go on for so long, then end them (5m, unless said)"));
}

constexpr const char* kCommitExamples =
    R"(The manifests replace everything that was enforced before: name all of them. They are
compiled first; on any error nothing changes, and every error is printed with its file and line.
Exit codes: 0 enforced, 2 trouble.

With --confirm the change is on trial: unless `portcullis confirm` comes in time, or when a guard
trips, the daemon goes back to what it enforced before. A guard compares the packets that policy
denies, or the connections that are reset, averaged over up to 10 seconds and not before 3 seconds
after the change, with a number or with what they were; in all, in one namespace, or in any:
  denied_per_second < 500                 resets_per_second < 2x
  denied_per_second{namespace="shop"} < 2x
  denied_per_second{namespace=*} < 2x

Running flows that the change denies end at once, unless --established or --drain says otherwise;
new ones are judged by the new policies in any case. `portcullis plan` tells whose flows they are.

Examples:
  portcullis commit cluster/ policies/ --comment "open the shop"
  portcullis commit cluster/ policies/ --confirm 10m --guard "denied_per_second < 2x"
  portcullis commit cluster/ policies/ --drain 5m
  kubectl get ns,pods,nodes,networkpolicies -A -o yaml | portcullis commit -)";

void add_commit(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<CommitOptions>();
  CLI::App* verb = program.add_subcommand("commit", "Compile manifests and enforce them, at once");
  add_paths(*verb, options->paths);
  verb->add_option("--comment", options->words.comment, "Why, for the history")->type_name("TEXT");
  CLI::Option* trial =
      verb->add_option("--confirm",
                       options->words.confirm_s,
                       "Undo it after this long, unless it is confirmed: 90s, 10m, 2h");
  take_seconds(trial);
  verb->add_option("--guard", options->words.guards, "Undo it when this no longer holds")
      ->needs(trial)
      ->allow_extra_args(false)
      ->type_name("GUARD");
  add_established(*verb, options->words.established);
  add_daemon_options(*verb, options->daemon);
  verb->footer(kCommitExamples);
  verb->callback([options, &exit_code] { exit_code = commit(*options); });
}

void add_confirm(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<RevisionOptions>();
  CLI::App* verb = program.add_subcommand("confirm", "Keep the change that is on trial");
  verb->add_option("revision", options->revision, "Only if it is this one that is on trial")
      ->type_name("N");
  add_daemon_options(*verb, options->daemon);
  verb->footer("A change is on trial after `portcullis commit --confirm TIME`.");
  verb->callback([options, &exit_code] {
    exit_code = tell(control::ask_confirm(target_of(options->daemon), options->revision));
  });
}

constexpr const char* kPlanExamples =
    R"(Compiles the manifests as a commit would, and says what it would do: to the table, and to the
flows that are tracked now: which workloads would be denied which ports, by which rule, with
examples. Nothing changes.
Exit codes: 0 nothing would change, 1 something would, 2 trouble.

Examples:
  portcullis plan cluster/ policies/
  portcullis plan cluster/ policies/ -o json | jq .flows.denied)";

void add_plan(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* verb = program.add_subcommand("plan", "What a commit of these manifests would do");
  add_paths(*verb, options->paths);
  add_daemon_options(*verb, options->daemon);
  verb->footer(kPlanExamples);
  verb->callback([options, &exit_code] { exit_code = plan(*options); });
}

void add_rollback(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<RollbackOptions>();
  CLI::App* verb = program.add_subcommand("rollback", "Enforce an earlier revision again");
  verb->add_option("revision",
                   options->revision,
                   "Its number in the history; without one, the revision before the running one")
      ->type_name("N");
  verb->add_option("--comment", options->comment, "Why, for the history")->type_name("TEXT");
  add_established(*verb, options->established);
  add_daemon_options(*verb, options->daemon);
  verb->footer(
      "The earlier content becomes a new revision, so that a rollback can be rolled back. What "
      "becomes of\nrunning flows that it denies is as of `portcullis commit`.");
  verb->callback([options, &exit_code] {
    exit_code = tell(control::ask_rollback(
        target_of(options->daemon), options->revision, options->comment, options->established));
  });
}

void add_show(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<RevisionOptions>();
  CLI::App* verb = program.add_subcommand("show", "A revision of the history, with its objects");
  verb->add_option(
          "revision", options->revision, "Its number; without one, or 0, the running revision")
      ->type_name("N");
  add_daemon_options(*verb, options->daemon);
  verb->callback([options, &exit_code] {
    exit_code = tell(control::ask_show(target_of(options->daemon), options->revision));
  });
}

constexpr const char* kDiffExamples =
    R"(By content: an object that only moved to another file or line is not named.
Exit codes: 0 they say the same, 1 they differ, 2 trouble.

Examples:
  portcullis diff              the running revision beside the one ahead of it
  portcullis diff 4            the running revision beside revision 4
  portcullis diff 4 7          revision 7 beside revision 4)";

void add_diff(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<DiffOptions>();
  CLI::App* verb =
      program.add_subcommand("diff", "The objects by which two revisions of the history differ");
  verb->add_option("from", options->from, "The one ahead of the running one, unless said")
      ->type_name("N");
  verb->add_option("to", options->to, "The running one, unless said")->type_name("M");
  add_daemon_options(*verb, options->daemon);
  verb->footer(kDiffExamples);
  verb->callback([options, &exit_code] {
    exit_code = tell(control::ask_diff(target_of(options->daemon), options->from, options->to));
  });
}

/// The N of "revision=N", from 1.
std::optional<std::uint64_t> awaited_revision(std::string_view text) {
  constexpr std::string_view kWord = "revision=";
  if (!text.starts_with(kWord)) {
    return std::nullopt;
  }
  std::uint64_t revision = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + kWord.size(), end, revision);
  return error == std::errc{} && stop == end && revision > 0 ? std::optional(revision)
                                                             : std::nullopt;
}

int status(const StatusOptions& options) {
  const control::Target target = target_of(options.daemon);
  const auto revision = awaited_revision(options.wait);
  return tell(revision ? control::ask_status_of(target, *revision) : control::ask_status(target));
}

constexpr const char* kStatusExamples =
    R"(With --wait it tells nothing until revision N, or a later one, is enforced by every worker:
for scripts that go on when somebody else's change is in force. It waits for --timeout at most, also
for a daemon that is only starting. A rollback, too, is a later revision: see `portcullis history`.
Exit codes: 0 told, 1 an earlier revision still runs at the end of --timeout, 2 trouble.

Examples:
  portcullis status
  portcullis status -o json | jq .unmanaged
  portcullis status --wait revision=7 --timeout 30s > /dev/null && ./next-step)";

void add_status(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App* verb =
      program.add_subcommand("status", "What the daemon enforces, and how it is doing");
  verb->add_option("--wait", options->wait, "First wait until this revision or a later one runs")
      ->check([](const std::string& text) -> std::string {
        return awaited_revision(text)
                   ? ""
                   : fmt::format("'{}' is no revision=N, as in revision=7", text);
      })
      ->type_name("revision=N");
  add_daemon_options(*verb, options->daemon);
  verb->footer(kStatusExamples);
  verb->callback([options, &exit_code] { exit_code = status(*options); });
}

void add_history(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<DaemonOptions>();
  CLI::App* verb =
      program.add_subcommand("history", "The revisions that were enforced, newest first");
  add_daemon_options(*verb, *options);
  verb->callback(
      [options, &exit_code] { exit_code = tell(control::ask_history(target_of(*options))); });
}

}  // namespace

control::Target target_of(const DaemonOptions& options) {
  return {.socket = options.socket,
          .timeout = std::chrono::seconds(options.timeout_s),
          .json = options.output == "json"};
}

void add_daemon_options(CLI::App& verb, DaemonOptions& options) {
  verb.add_option("-s,--socket", options.socket, "The daemon's control socket")
      ->type_name("SOCKET")
      ->capture_default_str();
  verb.add_option("--timeout", options.timeout_s, "How long to wait for the daemon: 30s, 2m")
      ->transform(
          CLI::AsNumberWithUnit(std::map<std::string, int>{{"s", 1}, {"m", 60}, {"h", 3600}}))
      ->check(CLI::Range(1, 3600))
      ->type_name("TIME")
      ->capture_default_str();
  if (verb.get_option_no_throw("--output") == nullptr) {
    verb.add_option("-o,--output", options.output, "table or json")
        ->check(CLI::IsMember({"table", "json"}))
        ->type_name("FORMAT")
        ->capture_default_str();
  }
}

int tell(const control::Told& told) {
  fmt::print(stderr, "{}", told.trouble);
  fmt::print("{}", told.output);
  return told.exit_code;
}

void add_daemon_verbs(CLI::App& program, int& exit_code) {
  add_commit(program, exit_code);
  add_confirm(program, exit_code);
  add_plan(program, exit_code);
  add_status(program, exit_code);
  add_history(program, exit_code);
  add_show(program, exit_code);
  add_diff(program, exit_code);
  add_rollback(program, exit_code);
}

}  // namespace portcullis::apps
