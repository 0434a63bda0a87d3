// SPDX-License-Identifier: MIT
#include "control/reconcile.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "classifier/verdict.h"

namespace portcullis::control {
namespace {

using Clock = std::chrono::steady_clock;
using policy::Diagnostic;

std::chrono::microseconds since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
}

/// Takes ":NUMBER" off the end of a place; 0 where there is none.
std::uint32_t take_number(std::string_view& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return 0;
  }
  const char* const end = text.data() + text.size();
  std::uint32_t number = 0;
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, number);
  if (error != std::errc{} || stop != end) {
    return 0;
  }
  text = text.substr(0, colon);
  return number;
}

/// An Error as a diagnostic: its "file:line:column" taken apart.
Diagnostic diagnostic_of(const Error& error) {
  std::string_view file = error.where;
  const std::uint32_t last = take_number(file);
  const std::uint32_t first = last == 0 ? 0 : take_number(file);
  const bool has_column = first != 0;
  return {.where = {.file = std::string(file),
                    .line = has_column ? first : last,
                    .column = has_column ? last : 0},
          .message = error.message};
}

Rejection rejection_of(std::vector<Diagnostic> diagnostics) {
  const auto errors = std::count_if(diagnostics.begin(), diagnostics.end(), [](const auto& found) {
    return found.severity == Diagnostic::Severity::error;
  });
  const auto first = std::find_if(diagnostics.begin(), diagnostics.end(), [](const auto& found) {
    return found.severity == Diagnostic::Severity::error;
  });
  PORTCULLIS_CHECK(first != diagnostics.end());
  std::string message = fmt::format("not enforceable: {} error{}, the first is {}",
                                    errors,
                                    errors == 1 ? "" : "s",
                                    to_string(*first));
  return {.message = std::move(message), .diagnostics = std::move(diagnostics)};
}

Counts counts_of(const policy::Snapshot& snapshot, const policy::Lowered& lowered) {
  return {.namespaces = snapshot.namespaces.size(),
          .pods = snapshot.pods.size(),
          .nodes = snapshot.nodes.size(),
          .policies = snapshot.policies.size(),
          .rules = lowered.rules.rules.size(),
          .static_rules = lowered.rules.static_rules.size(),
          .skipped =
              std::accumulate(snapshot.skipped.begin(),
                              snapshot.skipped.end(),
                              std::size_t{0},
                              [](std::size_t sum, const auto& kind) { return sum + kind.second; })};
}

observe::Enforced enforced(const classifier::Table& table, const policy::Lowered& lowered) {
  return {.table = table,
          .rules = lowered.rules,
          .provenance = lowered.provenance,
          .endpoints = lowered.endpoints};
}

}  // namespace

Reconcile::Reconcile(ReconcileOptions options, Publisher& publisher)
    : options_(std::move(options)), publisher_(publisher) {
  PORTCULLIS_CHECK(options_.history_max >= 1);
}

Prepared Reconcile::prepare(std::span<const policy::Manifest> manifests) const {
  const Clock::time_point begin = Clock::now();
  policy::Loaded loaded = policy::load(manifests);
  if (!loaded.ok()) {
    return tl::unexpected(rejection_of(std::move(loaded.diagnostics)));
  }
  Prepared prepared = prepare(std::make_shared<const policy::Snapshot>(std::move(loaded.snapshot)));
  std::vector<Diagnostic>& said = prepared ? prepared->warnings : prepared.error().diagnostics;
  said.insert(said.begin(), loaded.diagnostics.begin(), loaded.diagnostics.end());
  if (prepared) {
    prepared->duration = since(begin);
  }
  return prepared;
}

Prepared Reconcile::prepare(std::shared_ptr<const policy::Snapshot> snapshot) const {
  const Clock::time_point begin = Clock::now();
  Candidate candidate{.snapshot = std::move(snapshot)};
  candidate.digest = policy::digest(*candidate.snapshot);
  auto lowered = policy::lower(*candidate.snapshot, options_.lowering);
  if (!lowered) {
    return tl::unexpected(rejection_of({diagnostic_of(lowered.error())}));
  }
  for (const std::string& warning : lowered->warnings) {
    candidate.warnings.push_back({.severity = Diagnostic::Severity::warning, .message = warning});
  }
  policy::add_static_rules(options_.static_rules, *lowered);
  auto table = classifier::compile(lowered->rules, options_.compiling);
  if (!table) {
    return tl::unexpected(rejection_of({diagnostic_of(table.error())}));
  }
  candidate.rule_keys = rule_keys(*candidate.snapshot, *lowered);
  candidate.lowered = std::make_shared<const policy::Lowered>(*std::move(lowered));
  candidate.table = *std::move(table);
  candidate.table_digest = candidate.table->digest();
  candidate.explainer =
      std::make_unique<const observe::Explainer>(enforced(*candidate.table, *candidate.lowered));
  candidate.locator = std::make_unique<const policy::Locator>(*candidate.snapshot);
  candidate.duration = since(begin);
  return candidate;
}

/// Takes the names of what runs from a candidate, but for its table.
void Reconcile::adopt(const classifier::Table& table, Candidate& candidate) {
  running_ = {.table = &table,
              .snapshot = std::move(candidate.snapshot),
              .lowered = std::move(candidate.lowered),
              .explainer = std::move(candidate.explainer),
              .locator = std::move(candidate.locator)};
}

bool Reconcile::enforces(const Candidate& candidate) const {
  return !history_.empty() && history_.back().digest == candidate.digest &&
         history_.back().table_digest == candidate.table_digest;
}

Revision Reconcile::planned(const Candidate& candidate, Intent intent) const {
  return {.number = history_.empty() ? 1 : history_.back().number + 1,
          .time = std::chrono::system_clock::now(),
          .intent = std::move(intent),
          .digest = candidate.digest,
          .table_digest = candidate.table_digest,
          .counts = counts_of(*candidate.snapshot, *candidate.lowered),
          .table = candidate.table->sizes(),
          .duration = candidate.duration,
          .snapshot = candidate.snapshot};
}

Result<Applied> Reconcile::apply(Candidate candidate, Intent intent) {
  if (enforces(candidate)) {
    // Equal snapshots lower to equal rules, so the names of the new ones fit the running table.
    candidate.explainer =
        std::make_unique<const observe::Explainer>(enforced(*running_.table, *candidate.lowered));
    adopt(*running_.table, candidate);
    ledger_.rename(std::move(candidate.rule_keys));
    return Applied{.revision = history_.back(), .changed = false};
  }
  const classifier::Table& table = *candidate.table;
  Revision revision = planned(candidate, std::move(intent));
  const classifier::RuleSet& rules = candidate.lowered->rules;
  const std::size_t rule_ids =
      classifier::kBuiltinRules + rules.rules.size() + rules.static_rules.size();
  PORTCULLIS_TRY(const Publication publication,
                 publisher_.publish(std::move(candidate.table), rule_ids));
  adopt(table, candidate);
  ledger_.replace(std::move(candidate.rule_keys), publication.retired);
  revision.time = std::chrono::system_clock::now();
  history_.push_back(std::move(revision));
  while (history_.size() > options_.history_max) {
    history_.pop_front();
  }
  return Applied{.revision = history_.back(), .changed = true, .epoch = publication.epoch};
}

Result<const Revision*> Reconcile::find(std::optional<std::uint64_t> number) const {
  if (!number) {
    if (history_.size() < 2) {
      return fail("there is no revision ahead of the running one");
    }
    return &history_[history_.size() - 2];
  }
  for (const Revision& revision : history_) {
    if (revision.number == *number) {
      return &revision;
    }
  }
  if (history_.empty()) {
    return fail("there are no revisions");
  }
  return fail(fmt::format("revision {} is not in the history, which holds {} to {}",
                          *number,
                          history_.front().number,
                          history_.back().number));
}

const observe::Explainer& Reconcile::explainer() const {
  PORTCULLIS_CHECK(running_.explainer != nullptr);
  return *running_.explainer;
}

const policy::Locator& Reconcile::locator() const {
  PORTCULLIS_CHECK(running_.locator != nullptr);
  return *running_.locator;
}

std::vector<RuleTotal> Reconcile::rule_totals() const {
  return ledger_.totals(publisher_.rule_hits());
}

std::optional<RuleName> Reconcile::rule_name(classifier::RuleId rule) const {
  return ledger_.name_of(rule);
}

}  // namespace portcullis::control
