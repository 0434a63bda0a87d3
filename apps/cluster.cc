// SPDX-License-Identifier: MIT
#include "apps/cluster.h"

#include <charconv>
#include <cstdio>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "apps/compile_progress.h"
#include "classifier/compile.h"
#include "config/load.h"
#include "control/static_rules.h"

namespace portcullis::apps {

namespace {

using policy::Diagnostic;
using policy::Where;

/// Takes ":NUMBER" off the end of a place.
std::uint32_t take_number(std::string_view& text) {
  const std::size_t colon = text.rfind(':');
  std::uint32_t number = 0;
  if (colon == std::string_view::npos) {
    return 0;
  }
  const std::string_view digits = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size() || number == 0) {
    return 0;
  }
  text = text.substr(0, colon);
  return number;
}

/// "file:line:column" back to its parts, as Error::where has it.
Where where_of(std::string_view text) {
  const std::uint32_t last = take_number(text);
  const std::uint32_t before = last == 0 ? 0 : take_number(text);
  return before == 0 ? Where{std::string(text), last, 0} : Where{std::string(text), before, last};
}

Diagnostic diagnostic_of(const Error& error) {
  return {Diagnostic::Severity::error, where_of(error.where), "", "", error.message};
}

}  // namespace

CLI::Option* add_cluster_options(CLI::App& verb, ClusterSource& source) {
  CLI::Option* manifests =
      verb.add_option("--manifests", source.manifests, "A file, a directory, or - (repeatable)")
          ->type_name("PATH");
  CLI::Option* mode =
      verb.add_option(
              "--default", source.default_mode, "For what no policy decides: kubernetes or deny")
          ->check(CLI::IsMember({"kubernetes", "deny"}))
          ->type_name("MODE")
          ->capture_default_str();
  verb.add_option("--config",
                  source.config,
                  "A daemon's configuration: its static rules, tunnels, default mode, pod CIDRs")
      ->excludes(mode)
      ->type_name("FILE");
  return manifests;
}

Reading read_cluster(const std::vector<std::string>& paths, const policy::LowerOptions& lowering) {
  Reading reading;
  const auto manifests = policy::read_manifests(paths);
  if (!manifests) {
    reading.loaded.diagnostics.push_back(diagnostic_of(manifests.error()));
    return reading;
  }
  reading.loaded = policy::load(*manifests);
  if (!reading.loaded.ok()) {
    return reading;
  }
  auto lowered = policy::lower(reading.loaded.snapshot, lowering);
  if (!lowered) {
    reading.loaded.diagnostics.push_back(diagnostic_of(lowered.error()));
    return reading;
  }
  for (const std::string& warning : lowered->warnings) {
    reading.loaded.diagnostics.push_back({Diagnostic::Severity::warning, {}, "", "", warning});
  }
  reading.lowered = *std::move(lowered);
  return reading;
}

std::optional<Cluster> open_cluster(const ClusterSource& source) {
  policy::LowerOptions lowering{.default_mode = source.default_mode == "deny"
                                                    ? classifier::DefaultMode::deny
                                                    : classifier::DefaultMode::kubernetes};
  std::vector<policy::NamedStaticRule> static_rules;
  config::Tunnels tunnels;
  config::NonIp non_ip;
  if (!source.config.empty()) {
    const auto config = config::load(source.config);
    if (!config) {
      fmt::print(stderr, "{}\n", to_string(config.error()));
      return std::nullopt;
    }
    lowering = control::lowering_of(*config);
    static_rules = control::static_rules_of(*config);
    tunnels = config->tunnels;
    non_ip = config->non_ip;
  }
  Reading reading = read_cluster(source.manifests, lowering);
  print_diagnostics(reading.loaded.diagnostics);
  if (!reading.lowered) {
    return std::nullopt;
  }
  policy::add_static_rules(static_rules, *reading.lowered);
  auto table = classifier::compile(reading.lowered->rules, {.progress = progress_on_terminal()});
  if (!table) {
    print_diagnostics({diagnostic_of(table.error())});
    return std::nullopt;
  }
  return Cluster{std::move(reading.loaded.snapshot),
                 *std::move(reading.lowered),
                 *std::move(table),
                 std::move(tunnels),
                 std::move(non_ip)};
}

void print_diagnostics(const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics) {
    fmt::print(stderr, "{}\n", to_string(diagnostic));
  }
}

}  // namespace portcullis::apps
