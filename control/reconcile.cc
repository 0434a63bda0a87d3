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
  Prepared prepared = compile(std::make_shared<const policy::Snapshot>(std::move(loaded.snapshot)));
  std::vector<Diagnostic>& said = prepared ? prepared->warnings : prepared.error().diagnostics;
  said.insert(said.begin(), loaded.diagnostics.begin(), loaded.diagnostics.end());
  if (prepared) {
    prepared->duration = since(begin);
  }
  return prepared;
}

Prepared Reconcile::prepare(const Revision& revision) const {
  const Clock::time_point begin = Clock::now();
  Prepared prepared = revision.compiled ? *revision.compiled : compile(revision.snapshot);
  if (prepared) {
    prepared->content = revision.content;
    prepared->duration = since(begin);
  }
  return prepared;
}

Prepared Reconcile::compile(std::shared_ptr<const policy::Snapshot> snapshot) const {
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
      std::make_shared<const observe::Explainer>(enforced(*candidate.table, *candidate.lowered));
  candidate.locator = std::make_shared<const policy::Locator>(*candidate.snapshot);
  candidate.coverage = std::make_shared<const Coverage>(
      *candidate.snapshot, *candidate.lowered, options_.node_addresses);
  return candidate;
}

bool Reconcile::enforces(const Candidate& candidate) const {
  return running_ && running_->digest == candidate.digest &&
         running_->table_digest == candidate.table_digest;
}

Revision Reconcile::planned(const Candidate& candidate, Intent intent) const {
  return {.number = next_number_,
          .time = std::chrono::system_clock::now(),
          .intent = std::move(intent),
          .digest = candidate.digest,
          .table_digest = candidate.table_digest,
          .counts = counts_of(*candidate.snapshot, *candidate.lowered),
          .table = candidate.table->sizes(),
          .duration = candidate.duration,
          .content = candidate.content,
          .snapshot = candidate.snapshot};
}

/// Equal snapshots lower to equal rules, so the names of the new ones fit the running table.
void Reconcile::rename(Candidate candidate) {
  candidate.table = running_->table;
  candidate.explainer =
      std::make_shared<const observe::Explainer>(enforced(*candidate.table, *candidate.lowered));
  ledger_.rename(candidate.rule_keys);
  running_ = std::make_shared<const Candidate>(std::move(candidate));
  history_.back().compiled = running_;
}

/// Returns the epoch.
Result<std::uint64_t> Reconcile::publish(Candidate candidate) {
  const classifier::RuleSet& rules = candidate.lowered->rules;
  const std::size_t rule_ids =
      classifier::kBuiltinRules + rules.rules.size() + rules.static_rules.size();
  PORTCULLIS_TRY(const Publication publication, publisher_.publish(candidate.table, rule_ids));
  ledger_.replace(candidate.rule_keys, publication.retired);
  running_ = std::make_shared<const Candidate>(std::move(candidate));
  return publication.epoch;
}

Result<Applied> Reconcile::apply(Candidate candidate, Intent intent) {
  if (enforces(candidate)) {
    rename(std::move(candidate));
    return Applied{.revision = history_.back(), .changed = false};
  }
  Revision revision = planned(candidate, std::move(intent));
  PORTCULLIS_TRY(const std::uint64_t epoch, publish(std::move(candidate)));
  revision.time = std::chrono::system_clock::now();
  revision.compiled = running_;
  next_number_ = revision.number + 1;
  history_.push_back(std::move(revision));
  while (history_.size() > options_.history_max) {
    history_.pop_front();
  }
  if (history_.size() > 2) {
    history_[history_.size() - 3].compiled.reset();
  }
  return Applied{.revision = history_.back(), .changed = true, .epoch = epoch};
}

void Reconcile::recall(std::deque<Revision> history, std::uint64_t next_number) {
  PORTCULLIS_CHECK(!running_);
  history_ = std::move(history);
  next_number_ = next_number;
}

Result<Applied> Reconcile::resume(Candidate candidate) {
  PORTCULLIS_CHECK(!running_ && !history_.empty());
  // Of another version, or under another configuration, the table may differ.
  Revision revision = planned(candidate, history_.back().intent);
  revision.number = history_.back().number;
  revision.time = history_.back().time;
  PORTCULLIS_TRY(const std::uint64_t epoch, publish(std::move(candidate)));
  revision.compiled = running_;
  history_.back() = std::move(revision);
  return Applied{.revision = history_.back(), .changed = true, .epoch = epoch};
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
  PORTCULLIS_CHECK(running_ != nullptr);
  return *running_->explainer;
}

const policy::Locator& Reconcile::locator() const {
  PORTCULLIS_CHECK(running_ != nullptr);
  return *running_->locator;
}

const Coverage& Reconcile::coverage() const {
  PORTCULLIS_CHECK(running_ != nullptr);
  return *running_->coverage;
}

std::vector<RuleTotal> Reconcile::rule_totals() const {
  return ledger_.totals(publisher_.rule_hits());
}

std::optional<RuleName> Reconcile::rule_name(classifier::RuleId rule) const {
  return ledger_.name_of(rule);
}

}  // namespace portcullis::control
