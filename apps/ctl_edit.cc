// SPDX-License-Identifier: MIT
// The verbs pod and policy: single objects of what runs, added, replaced and removed.
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "apps/ctl.h"
#include "base/log.h"
#include "control/ask.h"
#include "policy/snapshot.h"

namespace portcullis::apps {
namespace {

struct EditOptions {
  DaemonOptions daemon;
  std::vector<std::string> paths;
  control::EditWords words;
};

/// What one of the two verbs is about.
struct Things {
  const char* word;     // "pod".
  const char* kind;     // "Pod".
  const char* example;  // "shop/web-7".
};

constexpr const char* kWritten =
    R"(All of them or none, as one revision: when the verb returns, every worker judges by
it, and with control.state it is on the disk. An object is added where there is none of its name,
and set whether or not there is one; the rest of what runs stays as it is. Policies that select a
new pod apply to it from its first packet; until then its address is denied.
Exit codes: 0 done, 2 trouble.

Examples:
  portcullis {0} add {0}.yaml
  kubectl get {0} -n shop -o yaml | portcullis {0} set -)";

constexpr const char* kRemoved =
    R"(All of them or none, as one revision: when the verb returns, every worker judges by
it. Flows that are denied by now end with their next packet.
Exit codes: 0 done, 2 trouble.

Examples:
  portcullis {0} remove {1})";

void add_writing(CLI::App& group, const Things& things, const char* verb, int& exit_code) {
  auto options = std::make_shared<EditOptions>();
  options->words.step = fmt::format("{}.{}", things.word, verb);
  const bool adds = std::string_view(verb) == "add";
  CLI::App* const app = group.add_subcommand(
      verb, fmt::format("{} {} objects", adds ? "Add" : "Add or replace", things.kind));
  app->add_option("manifests", options->paths, "Files, directories, or - for standard input")
      ->required()
      ->type_name("PATH");
  app->add_option("--comment", options->words.comment, "Why, for the history")->type_name("TEXT");
  add_daemon_options(*app, options->daemon);
  app->footer(fmt::format(fmt::runtime(kWritten), things.word));
  app->callback([options, &exit_code] {
    auto manifests = policy::read_manifests(options->paths);
    if (!manifests) {
      log::error("{}", to_string(manifests.error()));
      exit_code = kExitTrouble;
      return;
    }
    options->words.manifests = *std::move(manifests);
    exit_code = tell(control::ask_edit(target_of(options->daemon), options->words));
  });
}

void add_removing(CLI::App& group, const Things& things, int& exit_code) {
  auto options = std::make_shared<EditOptions>();
  options->words.step = fmt::format("{}.remove", things.word);
  CLI::App* const app =
      group.add_subcommand("remove", fmt::format("Remove {} objects", things.kind));
  app->add_option("names", options->words.names, "As namespace/name")
      ->required()
      ->type_name("NAME");
  app->add_option("--comment", options->words.comment, "Why, for the history")->type_name("TEXT");
  add_daemon_options(*app, options->daemon);
  app->footer(fmt::format(fmt::runtime(kRemoved), things.word, things.example));
  app->callback([options, &exit_code] {
    exit_code = tell(control::ask_edit(target_of(options->daemon), options->words));
  });
}

}  // namespace

void add_edit_verbs(CLI::App& program, int& exit_code) {
  for (const Things& things :
       {Things{.word = "pod", .kind = "Pod", .example = "shop/web-7 shop/web-8"},
        Things{.word = "policy", .kind = "NetworkPolicy", .example = "shop/web"}}) {
    CLI::App* const group = program.add_subcommand(
        things.word, fmt::format("Single {} objects of what runs: add, set, remove", things.kind));
    group->require_subcommand(1);
    add_writing(*group, things, "add", exit_code);
    add_writing(*group, things, "set", exit_code);
    add_removing(*group, things, exit_code);
  }
}

}  // namespace portcullis::apps
