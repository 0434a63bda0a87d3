// SPDX-License-Identifier: MIT
// portcullis: the command. This file knows which verbs there are; each verb lives in its group.
#include "apps/ctl.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/isa_option.h"

namespace {

using namespace portcullis::apps;

constexpr std::string_view kAbout =
    "Portcullis enforces Kubernetes network policies. This command validates, tests and explains "
    "policies from their manifests, and speaks to the daemon.";

constexpr std::string_view kExamples = R"(Exit codes: 0 pass, 1 fails or differs, 2 trouble.

Examples:
  portcullis validate --manifests policies/
  portcullis test --manifests cluster/ --expect probes.tsv
  portcullis explain --manifests cluster/ --from shop/web-0 --to shop/db-0 --port 5432
  portcullis commit cluster/ --comment "first policies"
  portcullis status
  portcullis conntrack list --from shop/web-0
  portcullis VERB --help)";

/// Letters to insert, drop or change to come from one word to the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t corner = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = corner + (a[i - 1] == b[j - 1] ? 0U : 1U);
      corner = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row.back();
}

/// Says which verb was probably meant.
int refuse_verb(const CLI::App& program, std::string_view verb) {
  std::string nearest;
  std::string all;
  std::size_t best = std::max<std::size_t>(2, verb.size() / 3) + 1;
  for (const CLI::App* known : program.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string& name = known->get_name();
    all += (all.empty() ? "" : ", ") + name;
    if (const std::size_t far = distance(verb, name); far < best) {
      best = far;
      nearest = name;
    }
  }
  const std::string hint = nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest);
  fmt::print(stderr, "portcullis: no verb \"{}\"{}\nVerbs: {}\n", verb, hint, all);
  return kExitTrouble;
}

int run(int argc, char** argv) {
  CLI::App program{std::string(kAbout), "portcullis"};
  int exit_code = kExitPass;
  program.set_version_flag("--version", "portcullis " PORTCULLIS_VERSION);
  program.footer(std::string(kExamples));
  program.require_subcommand(1);
  program.get_formatter()->column_width(34);
  add_isa_option(program);
  add_offline_verbs(program, exit_code);
  add_explain_verb(program, exit_code);
  add_replay_verb(program, exit_code);
  add_table_verb(program, exit_code);
  add_daemon_verbs(program, exit_code);
  add_conntrack_verb(program, exit_code);
  add_edit_verbs(program, exit_code);
  add_port_verb(program, exit_code);

  if (argc < 2) {
    fmt::print(stderr, "{}", program.help());
    return kExitTrouble;
  }
  const std::string_view verb = argv[1];
  const auto is_verb = [&](const CLI::App* known) { return known->get_name() == verb; };
  if (!verb.starts_with('-') && program.get_subcommands(is_verb).empty()) {
    return refuse_verb(program, verb);
  }
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? kExitPass : kExitTrouble;
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "portcullis: %s\n", error.what());
    return kExitTrouble;
  }
}
