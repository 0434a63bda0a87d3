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

void describe(const policy::Snapshot& snapshot,
              const policy::Lowered& lowered,
              std::span<const IpAddress> node_addresses,
              Candidate& candidate) {
  for (const std::string& warning : lowered.warnings) {
    candidate.warnings.push_back({.severity = Diagnostic::Severity::warning, .message = warning});
  }
  candidate.counts = counts_of(snapshot, lowered);
  candidate.rule_slots = lowered.rules.rules.size();
  candidate.rule_keys = rule_keys(snapshot, lowered);
  candidate.coverage = std::make_shared<const Coverage>(snapshot, lowered, node_addresses);
}

bool keeps_flows(const Intent& intent) {
  return intent.established && intent.established->fate != Established::Fate::revalidate;
}

std::size_t rule_ids(const Candidate& candidate) {
  return classifier::kBuiltinRules + candidate.rule_slots + candidate.counts.static_rules;
}

bool are_of_pods(std::span<const policy::Edit> edits) {
  return std::all_of(edits.begin(), edits.end(), [](const policy::Edit& edit) {
    return edit.kind == policy::Kind::pod;
  });
}

}  // namespace

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

Reconcile::Reconcile(ReconcileOptions options, Publisher& publisher)
    : options_(std::move(options)), publisher_(publisher) {
  PORTCULLIS_CHECK(options_.history_max >= 1);
}

Prepared Reconcile::prepare(std::span<const policy::Manifest> manifests,
                            std::span<const policy::Step> steps) const {
  const Clock::time_point begin = Clock::now();
  policy::Loaded loaded = policy::load(manifests, steps);
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
  Prepared prepared = revision.compiled ? *revision.compiled : compile(revision.world->snapshot());
  if (prepared) {
    prepared->content = revision.content;
    prepared->duration = since(begin);
  }
  return prepared;
}

Result<policy::Lowered> Reconcile::lower(const policy::Snapshot& snapshot) const {
  PORTCULLIS_TRY(policy::Lowered lowered, policy::lower(snapshot, options_.lowering));
  policy::add_static_rules(options_.static_rules, lowered);
  return lowered;
}

Prepared Reconcile::compile(std::shared_ptr<const policy::Snapshot> snapshot) const {
  Candidate candidate{.world = std::make_shared<const policy::World>(snapshot)};
  candidate.digest = policy::digest(*snapshot);
  auto lowered = lower(*snapshot);
  if (!lowered) {
    return tl::unexpected(rejection_of({diagnostic_of(lowered.error())}));
  }
  auto table = classifier::compile(lowered->rules, options_.compiling);
  if (!table) {
    return tl::unexpected(rejection_of({diagnostic_of(table.error())}));
  }
  describe(*snapshot, *lowered, options_.node_addresses, candidate);
  candidate.table = *std::move(table);
  candidate.namespaces = QuotaMap(options_.quotas, *snapshot).map();
  candidate.table_digest = candidate.table->digest();
  candidate.view =
      std::make_shared<const View>(std::move(snapshot),
                                   std::make_shared<const policy::Lowered>(*std::move(lowered)),
                                   candidate.table);
  return candidate;
}

Result<std::unique_ptr<Live>> Reconcile::start_live(
    const std::shared_ptr<const policy::Snapshot>& snapshot,
    policy::ContentDigest digest,
    Candidate& candidate) const {
  PORTCULLIS_TRY(const policy::Lowered lowered, lower(*snapshot));
  describe(*snapshot, lowered, options_.node_addresses, candidate);
  PORTCULLIS_TRY(
      auto live,
      Live::start(snapshot, std::move(digest), lowered, options_.compiling, options_.quotas));
  candidate.world = live->world();
  candidate.table = live->table();
  candidate.namespaces = live->namespaces();
  return live;
}

Result<void> Reconcile::ready_for_edits() {
  if (!live_) {
    Candidate same;
    const auto snapshot = running_->world->snapshot();
    PORTCULLIS_TRY(live_, start_live(snapshot, policy::ContentDigest(*snapshot), same));
  }
  return {};
}

PreparedEdits Reconcile::prepare(std::span<const policy::Edit> edits) {
  const Clock::time_point begin = Clock::now();
  const auto refused = [](const Error& error) {
    return tl::unexpected(rejection_of({diagnostic_of(error)}));
  };
  Edited edited{.candidate = {.content = running_->content}};
  if (const auto ready = ready_for_edits(); !ready) {
    return refused(ready.error());
  }
  // The entry of the history that ends here has its world for itself.
  if (!are_of_pods(edits) || history_.back().batches == 0) {
    live_->part_from_world();
  }
  auto plan = live_->plan(edits);
  if (!plan) {
    return refused(plan.error());
  }
  Candidate& candidate = edited.candidate;
  candidate.digest = plan->digest;
  if (plan->why_whole.empty()) {
    candidate.world = live_->world();
    candidate.table = running_->table;
    candidate.namespaces = running_->namespaces;
    candidate.counts = running_->counts;
    candidate.counts.pods = live_->world()->pods();
    candidate.counts.policies = live_->world()->policies();
    candidate.counts.rules = plan->policies.rules;
    for (const std::string& doubt : plan->policies.doubts) {
      candidate.warnings.push_back({.severity = Diagnostic::Severity::warning, .message = doubt});
    }
    candidate.coverage = plan->changed.policies.empty()
                             ? running_->coverage
                             : std::make_shared<const Coverage>(running_->coverage->with(
                                   plan->changed.policies, plan->policies.idle));
    edited.plan = *std::move(plan);
  } else {
    const auto snapshot = live_->world()->snapshot();
    policy::ContentDigest digest = live_->digest();
    live_->take_back(*plan);
    auto anew = start_live(snapshot, std::move(digest), candidate);
    if (!anew) {
      return refused(anew.error());
    }
    edited.anew = *std::move(anew);
    edited.way = "compiled anew: " + plan->why_whole;
  }
  candidate.duration = since(begin);
  return edited;
}

Result<void> Reconcile::update(Edited& edited) {
  if (!edited.plan) {
    return {};
  }
  PORTCULLIS_TRY(const classifier::UpdateReport report, live_->update(*edited.plan));
  edited.candidate.table = live_->table();
  edited.candidate.namespaces = live_->namespaces();
  edited.candidate.rule_slots = live_->rule_slots();
  edited.way = to_string(report.way);
  if (!report.why_whole.empty()) {
    edited.way += ": " + report.why_whole;
  }
  return {};
}

void Reconcile::take_back(const Edited& edited) {
  if (edited.plan) {
    live_->take_back(*edited.plan);
  }
}

bool Reconcile::enforces(const Candidate& candidate) const {
  return running_ && running_->digest == candidate.digest &&
         running_->table_digest == candidate.table_digest;
}

bool Reconcile::enforces(const Edited& edited) const {
  return running_->digest == edited.candidate.digest;
}

Revision Reconcile::planned(const Candidate& candidate, Intent intent) const {
  return {.number = next_number_,
          .time = std::chrono::system_clock::now(),
          .intent = std::move(intent),
          .digest = candidate.digest,
          .table_digest = candidate.table_digest,
          .counts = candidate.counts,
          .table = candidate.table->sizes(),
          .duration = candidate.duration,
          .content = candidate.content,
          .world = candidate.world};
}

Revision Reconcile::planned(const Edited& edited, Intent intent) const {
  Revision revision = planned(edited.candidate, std::move(intent));
  if (edited.is_of_pods()) {
    revision.batches = history_.back().batches + 1;
  }
  return revision;
}

/// Equal snapshots lower to equal rules, so the names of the new ones fit the running table.
void Reconcile::rename(Candidate candidate) {
  candidate.table = running_->table;
  candidate.namespaces = running_->namespaces;
  candidate.view = candidate.view->of(candidate.table);
  ledger_.rename(candidate.rule_keys);
  running_ = std::make_shared<const Candidate>(std::move(candidate));
  history_.back().compiled = running_;
}

Result<std::uint64_t> Reconcile::publish(
    Candidate candidate,
    dataplane::Kept kept,
    const std::function<void(std::span<const dataplane::RuleHits>)>& count) {
  PORTCULLIS_TRY(const Publication publication,
                 publisher_.publish({.table = candidate.table,
                                     .rule_ids = rule_ids(candidate),
                                     .namespaces = candidate.namespaces},
                                    kept));
  count(publication.retired);
  running_ = std::make_shared<const Candidate>(std::move(candidate));
  return publication.epoch;
}

Result<std::uint64_t> Reconcile::publish(Candidate candidate, dataplane::Kept kept) {
  RuleKeys keys = candidate.rule_keys;
  return publish(std::move(candidate), kept, [&](std::span<const dataplane::RuleHits> retired) {
    ledger_.replace(std::move(keys), retired);
  });
}

Applied Reconcile::enter(Revision revision, std::uint64_t epoch) {
  revision.time = std::chrono::system_clock::now();
  next_number_ = revision.number + 1;
  if (revision.batches > 1) {
    history_.pop_back();
  }
  history_.push_back(std::move(revision));
  while (history_.size() > options_.history_max) {
    history_.pop_front();
  }
  if (history_.size() > 2) {
    history_[history_.size() - 3].compiled.reset();
  }
  return {.revision = history_.back(), .changed = true, .epoch = epoch};
}

Result<Applied> Reconcile::apply(Candidate candidate, Intent intent) {
  if (enforces(candidate)) {
    rename(std::move(candidate));
    return Applied{.revision = history_.back(), .changed = false};
  }
  const dataplane::Kept kept = keeps_flows(intent) ? dataplane::Kept::all : dataplane::Kept::none;
  Revision revision = planned(candidate, std::move(intent));
  PORTCULLIS_TRY(const std::uint64_t epoch, publish(std::move(candidate), kept));
  live_.reset();
  revision.compiled = running_;
  return enter(std::move(revision), epoch);
}

Result<Applied> Reconcile::apply(Edited edited, Intent intent) {
  if (enforces(edited)) {
    return Applied{.revision = history_.back(), .changed = false};
  }
  const dataplane::Kept kept = keeps_flows(intent) ? dataplane::Kept::all : dataplane::Kept::same;
  Revision revision = planned(edited, std::move(intent));
  const auto epoch =
      edited.anew
          ? publish(std::move(edited.candidate), kept)
          : publish(std::move(edited.candidate), kept, [&](auto retired) {
              ledger_.change(rule_changes(edited.plan->changed.policies, edited.plan->policies),
                             retired);
            });
  if (!epoch) {
    // The running table may have it already, by single stores.
    if (edited.plan && !live_->undo(*edited.plan)) {
      live_.reset();
    }
    return tl::unexpected(epoch.error());
  }
  if (edited.anew) {
    live_ = std::move(edited.anew);
  }
  return enter(std::move(revision), *epoch);
}

Result<void> Reconcile::end_kept() {
  PORTCULLIS_TRY(const std::vector<dataplane::RuleHits> counted, publisher_.end_kept());
  ledger_.keep(counted);
  return {};
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
  revision.batches = history_.back().batches;
  PORTCULLIS_TRY(const std::uint64_t epoch, publish(std::move(candidate), dataplane::Kept::none));
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
    if (revision.number == *number || (*number == 0 && &revision == &history_.back())) {
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

std::shared_ptr<const View> Reconcile::view() const {
  PORTCULLIS_CHECK(running_ != nullptr);
  return running_->view;
}

std::shared_ptr<const View> Reconcile::make_view() const {
  if (running_->view) {
    return running_->view;
  }
  return std::make_shared<const View>(running_->world->snapshot(),
                                      std::make_shared<const policy::Lowered>(live_->lowered()),
                                      running_->table);
}

void Reconcile::set_view(std::shared_ptr<const View> view) {
  Candidate candidate = *running_;
  candidate.view = std::move(view);
  running_ = std::make_shared<const Candidate>(std::move(candidate));
}

const Coverage& Reconcile::coverage() const {
  PORTCULLIS_CHECK(running_ != nullptr);
  return *running_->coverage;
}

std::shared_ptr<const classifier::Table> Reconcile::table() const {
  return running_ ? running_->table : nullptr;
}

std::shared_ptr<const policy::Snapshot> Reconcile::snapshot() const {
  return running_ ? running_->world->snapshot() : nullptr;
}

RuleLedger::ByNamespace Reconcile::measured_by_namespace() const {
  return ledger_.by_namespace(publisher_.rule_hits());
}

std::vector<RuleTotal> Reconcile::rule_totals() const {
  return ledger_.totals(publisher_.rule_hits());
}

std::optional<RuleName> Reconcile::rule_name(classifier::RuleId rule) const {
  return ledger_.name_of(rule);
}

}  // namespace portcullis::control
