// SPDX-License-Identifier: MIT
// Reconcile: manifests -> snapshot -> rules -> table -> publication, and single objects straight to
// the table. The only road to a new table, and the history of those that were taken.
// Thread: prepare(), ready_for_edits(), update(), make_view(), snapshot() and flows() the lane's;
//   everything else the control
//   thread, and what changes anything while the lane rests.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "classifier/compile.h"
#include "classifier/table.h"
#include "control/change/established.h"
#include "control/change/terms.h"
#include "control/live/live.h"
#include "control/live/view.h"
#include "control/quota/namespace_quotas.h"
#include "control/rule_ledger.h"
#include "control/status/coverage.h"
#include "dataplane/dataplane.h"
#include "policy/digest.h"
#include "policy/edit.h"
#include "policy/lower.h"
#include "policy/snapshot.h"
#include "policy/world.h"

namespace portcullis::control {

struct Publication {
  std::uint64_t epoch = 0;
  std::vector<dataplane::RuleHits> retired;  // What the replaced table had counted at its end.
};

/// Where tables go: the dataplane, or a fake in tests.
class Publisher {
 public:
  Publisher() = default;
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;
  virtual ~Publisher() = default;

  /// Enforces `next` and nothing else from its return on.
  /// Owner: keeps its parts until the next successful publish().
  /// Errors: nothing changed.
  virtual Result<Publication> publish(dataplane::Enforced next, dataplane::Kept kept) = 0;
  /// No flow goes on any more that the running table has not judged. What its rules have counted
  /// so far is returned, and counted anew. Errors: as publish().
  virtual Result<std::vector<dataplane::RuleHits>> end_kept() = 0;
  [[nodiscard]] virtual std::vector<dataplane::RuleHits> rule_hits() const = 0;
  [[nodiscard]] virtual dataplane::DataplaneStatus status() const = 0;
  /// As Dataplane::flows. Thread: one caller at a time, beside the control thread.
  [[nodiscard]] virtual Result<std::vector<dataplane::FlowAnswer>> flows(
      const dataplane::FlowRequest& request) const = 0;
};

struct ReconcileOptions {
  policy::LowerOptions lowering;
  std::vector<policy::NamedStaticRule> static_rules;
  classifier::CompileOptions compiling;
  std::shared_ptr<NamespaceQuotas> quotas;  // Null: none.
  std::vector<IpAddress> node_addresses;    // Of a router's uplink: its own.
  std::size_t history_max = 16;
};

/// Who asks for a change, and why.
struct Intent {
  std::string who;
  std::string comment;
  std::optional<std::uint64_t> rollback_to;  // The revision whose snapshot this is.
  std::optional<Terms> terms;                // It is on trial, on these.
  bool ends_trial = false;                   // The daemon undoes a trial.
  std::optional<Established> established;  // What becomes of flows; absent: they are judged again.
};

struct Counts {
  std::size_t namespaces = 0;
  std::size_t pods = 0;
  std::size_t nodes = 0;
  std::size_t policies = 0;
  std::size_t rules = 0;
  std::size_t static_rules = 0;
  std::size_t skipped = 0;  // Objects of kinds that mean nothing here.
};

/// Compiled, to be enforced. Copies share all that is large.
struct Candidate {
  std::shared_ptr<const policy::World> world;
  std::shared_ptr<const View> view;  // Null: nobody has asked since single objects changed.
  std::shared_ptr<const classifier::Table> table;
  std::shared_ptr<const dataplane::NamespaceMap> namespaces;  // Null: there are no quotas.
  std::string digest;                                         // Of the content.
  std::string table_digest;  // Empty: it was not taken, since single objects changed.
  std::shared_ptr<const Coverage> coverage;  // Of the last content that was compiled as a whole.
  Counts counts;
  std::size_t rule_slots = 0;  // Of policies; with the free ones.
  RuleKeys rule_keys;          // Of what was compiled as a whole.
  std::vector<policy::Diagnostic> warnings;
  std::chrono::microseconds duration{};
  std::string content;  // As Revision's.
};

/// Single objects on their way to the table.
struct Edited {
  Candidate candidate;
  std::optional<Live::Plan> plan;  // What update() does to the running table.
  std::shared_ptr<Live> anew;      // Where that cannot be done: all of it, compiled.
  std::string way;                 // How the table was changed, for a person.

  /// Changes that make an entry of the history that goes on, not another.
  [[nodiscard]] bool is_of_pods() const { return plan && plan->changed.policies.empty(); }
};

/// Why manifests cannot be enforced.
struct Rejection {
  std::string message;
  std::vector<policy::Diagnostic> diagnostics;  // Errors and warnings, all of them.
};

/// REQUIRES: one of them is an error.
Rejection rejection_of(std::vector<policy::Diagnostic> diagnostics);

using Prepared = tl::expected<Candidate, Rejection>;
using PreparedEdits = tl::expected<Edited, Rejection>;
using Instant = std::chrono::system_clock::time_point;

struct Revision {
  std::uint64_t number = 0;  // From 1, never used twice.
  Instant time;
  Intent intent;
  std::string digest;
  std::string table_digest;
  Counts counts;
  classifier::TableSizes table;
  std::chrono::microseconds duration{};
  std::size_t batches = 0;  // Of single pods, one after another, that this stands for.
  std::string content;      // What the archive calls its manifests; empty where there is none.
  std::shared_ptr<const policy::World> world;  // Null: of an earlier process.
  /// Of the running revision and the one ahead of it, which so comes back without a compile.
  std::shared_ptr<const Candidate> compiled;
};

struct Applied {
  Revision revision;     // The running one, be it new or not.
  bool changed = false;  // False: the content was enforced already.
  std::uint64_t epoch = 0;
};

/// A change that did not happen.
struct Refused {
  Instant time;
  std::string who;
  std::string message;
};

class Reconcile {
 public:
  /// REQUIRES: the publisher outlives it.
  Reconcile(ReconcileOptions options, Publisher& publisher);

  /// Compiles; touches nothing that runs. Errors: one or more of the manifests are invalid, an
  /// address has two owners, or the table would be too large.
  [[nodiscard]] Prepared prepare(std::span<const policy::Manifest> manifests,
                                 std::span<const policy::Step> steps = {}) const;
  /// What an earlier revision enforced; without a compile where it is kept compiled.
  /// REQUIRES: the revision has its world.
  [[nodiscard]] Prepared prepare(const Revision& revision) const;

  /// Makes what runs ready for single objects, at the cost of a compile; so does the first of them.
  /// REQUIRES: something was applied. Errors: those of a compile.
  Result<void> ready_for_edits();
  /// Nothing was applied since.
  [[nodiscard]] bool is_ready_for_edits() const { return live_ != nullptr; }
  /// What runs, with single objects changed. Most need an update() of the table; what asks for
  /// something of pods that nothing has asked for yet compiles. REQUIRES: something was applied;
  /// what was prepared ahead of this has been applied or taken back. Errors: World::apply()'s, and
  /// as of manifests.
  PreparedEdits prepare(std::span<const policy::Edit> edits);
  /// Writes the update into the table that runs, where single stores will do: packets see it.
  /// Errors: the table would be too large; nothing has changed then.
  Result<void> update(Edited& edited);
  /// Forgets what was prepared. REQUIRES: update() has not done it.
  void take_back(const Edited& edited);

  /// The revision that apply() would make of a candidate that is not enforced already.
  [[nodiscard]] Revision planned(const Candidate& candidate, Intent intent) const;
  [[nodiscard]] Revision planned(const Edited& edited, Intent intent) const;
  [[nodiscard]] bool enforces(const Candidate& candidate) const;
  [[nodiscard]] bool enforces(const Edited& edited) const;

  /// Enforces. Content that is enforced already makes no revision; only the places in files that
  /// explanations name are brought up to date.
  /// Errors: the publisher refuses; nothing changed then.
  Result<Applied> apply(Candidate candidate, Intent intent);
  /// Likewise. Batches of pods that follow one another are one entry of the history: the latest.
  /// Flows that go on in spite of the change before them go on further.
  Result<Applied> apply(Edited edited, Intent intent);

  /// What changes let go on in spite of their tables is over: it makes no revision. REQUIRES:
  /// something was applied. Errors: the publisher refuses; nothing changed then.
  Result<void> end_kept();

  /// Goes on from the history of an earlier process. REQUIRES: nothing was applied.
  void recall(std::deque<Revision> history, std::uint64_t next_number);
  /// Enforces the last revision of a recalled history, whose content this is. Errors: as apply().
  Result<Applied> resume(Candidate candidate);

  /// Revision `number`, where 0 is the running one, or the one ahead of the running one.
  /// Errors: not in the history.
  [[nodiscard]] Result<const Revision*> find(std::optional<std::uint64_t> number) const;

  /// Oldest first; the last one runs.
  [[nodiscard]] const std::deque<Revision>& history() const { return history_; }
  /// Of what runs; null after single objects changed, until set_view(). REQUIRES: something was
  /// applied.
  [[nodiscard]] std::shared_ptr<const View> view() const;
  /// Costs a copy of everything. REQUIRES: something was applied, and what was prepared has been.
  [[nodiscard]] std::shared_ptr<const View> make_view() const;
  void set_view(std::shared_ptr<const View> view);
  [[nodiscard]] const Coverage& coverage() const;
  /// Null: nothing was applied.
  [[nodiscard]] std::shared_ptr<const classifier::Table> table() const;
  /// Likewise, of all that runs; costs a copy of it after single objects changed. Thread: the
  /// lane's.
  [[nodiscard]] std::shared_ptr<const policy::Snapshot> snapshot() const;
  /// Packets by rule since start, also under earlier tables that had the same rule.
  [[nodiscard]] std::vector<RuleTotal> rule_totals() const;
  /// What guards measure, by namespace, likewise.
  [[nodiscard]] RuleLedger::ByNamespace measured_by_namespace() const;
  [[nodiscard]] dataplane::DataplaneStatus dataplane() const { return publisher_.status(); }
  /// Of the running table. Nothing: it has no such rule.
  [[nodiscard]] std::optional<RuleName> rule_name(classifier::RuleId rule) const;
  /// Asks the workers about their flows and waits. Thread: the lane's.
  [[nodiscard]] Result<std::vector<dataplane::FlowAnswer>> flows(
      const dataplane::FlowRequest& request) const {
    return publisher_.flows(request);
  }
  [[nodiscard]] const ReconcileOptions& options() const { return options_; }

  void record_refusal(Refused refused) { last_refused_ = std::move(refused); }
  [[nodiscard]] const std::optional<Refused>& last_refused() const { return last_refused_; }

 private:
  [[nodiscard]] Prepared compile(std::shared_ptr<const policy::Snapshot> snapshot) const;
  /// With the static rules. Errors: those of policy::lower().
  [[nodiscard]] Result<policy::Lowered> lower(const policy::Snapshot& snapshot) const;
  [[nodiscard]] Result<std::unique_ptr<Live>> start_live(
      const std::shared_ptr<const policy::Snapshot>& snapshot,
      policy::ContentDigest digest,
      Candidate& candidate) const;
  /// Returns the epoch. Errors: the publisher's. `count` gets what the replaced table has counted.
  Result<std::uint64_t> publish(
      Candidate candidate,
      dataplane::Kept kept,
      const std::function<void(std::span<const dataplane::RuleHits>)>& count);
  Result<std::uint64_t> publish(Candidate candidate, dataplane::Kept kept);
  void rename(Candidate candidate);
  Applied enter(Revision revision, std::uint64_t epoch);

  ReconcileOptions options_;
  Publisher& publisher_;
  std::deque<Revision> history_;
  std::uint64_t next_number_ = 1;
  std::shared_ptr<const Candidate> running_;  // Null: nothing was applied yet.
  std::shared_ptr<Live> live_;  // Of what runs; null until the first edit after another change.
  RuleLedger ledger_;
  std::optional<Refused> last_refused_;
};

}  // namespace portcullis::control
