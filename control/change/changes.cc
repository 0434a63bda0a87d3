// SPDX-License-Identifier: MIT
#include "control/change/changes.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/time_text.h"
#include "control/change/effect.h"
#include "control/flows.h"
#include "control/params.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

/// Flows that a plan names.
constexpr std::size_t kFlowsShown = 100;

std::uint64_t flows_revoked(const Reconcile& reconcile) {
  std::uint64_t flows = 0;
  for (const dataplane::WorkerStatus& worker : reconcile.dataplane().workers) {
    flows += worker.flows_revoked;
  }
  return flows;
}

tl::unexpected<RpcError> rejected(const Rejection& rejection) {
  const auto& diagnostics = rejection.diagnostics;
  return refuse(RpcCode::rejected,
                rejection.message,
                {{"diagnostics", to_json(std::span(diagnostics))},
                 {"diagnostics_total", diagnostics.size()}});
}

tl::unexpected<RpcError> not_kept(const Error& error) {
  return refuse(RpcCode::not_kept,
                fmt::format("not enforced, since the disk did not take it: {}", to_string(error)));
}

/// Of a change that is to be enforced: it has been said by now.
Established::Fate fate_of(const Intent& intent) {
  return intent.established ? intent.established->fate : Established::Fate::revalidate;
}

}  // namespace

/// One on its way.
struct Changes::Change {
  Intent intent;
  Done done;
  std::shared_ptr<const std::vector<policy::Manifest>> manifests;  // Null: of a revision.
  Prepared prepared;
  std::shared_ptr<const classifier::Table> table;  // Of what is prepared.
  DeniedFlows denied;                              // By this table, counted ahead of it.
  FlowAnswers overdue;                             // Ended ahead of it, where it lets flows go on.
  KeptRevision record;  // Where there is an archive; and whether that has it.
  Result<void> kept;
  FlowAnswers settled;        // Flows that it denies, when it ran.
  std::uint64_t revoked = 0;  // By packets, ahead of it.
  json result;
};

Changes::Changes(
    Lane& lane, Reconcile& reconcile, const Daemon& daemon, Archive* archive, Audit audit)
    : lane_(lane),
      reconcile_(reconcile),
      daemon_(daemon),
      archive_(archive),
      audit_(std::move(audit)),
      past_(lane, reconcile, archive),
      drainer_(lane, reconcile) {}

void Changes::commit(std::vector<policy::Manifest> manifests, Intent intent, Done done) {
  auto change = std::make_shared<Change>();
  change->manifests = std::make_shared<const std::vector<policy::Manifest>>(std::move(manifests));
  change->intent = std::move(intent);
  change->done = std::move(done);
  start(change, [this, owned = change->manifests] { return reconcile_.prepare(*owned); });
}

/// A batch on its way.
struct Changes::Batch {
  std::vector<policy::Step> steps;
  Intent intent;
  Done done;
  std::chrono::steady_clock::time_point received;
  tl::expected<std::vector<policy::Edit>, std::vector<policy::Diagnostic>> edits;
  Edited edited;
  tl::expected<void, RpcError> carried_out;
};

void Changes::edit(std::vector<policy::Step> steps, Intent intent, Done done) {
  auto batch = std::make_shared<Batch>();
  batch->steps = std::move(steps);
  batch->intent = std::move(intent);
  batch->intent.established = as_configured(daemon_.config.conntrack);
  batch->done = std::move(done);
  batch->received = std::chrono::steady_clock::now();
  edits_in_use_ = true;
  const auto read = [batch] { batch->edits = policy::edits_of(batch->steps); };
  lane_.run(read, [this, batch] {
    if (!batch->edits) {
      return refuse_change(
          batch->intent, rejected(rejection_of(batch->edits.error())).value(), batch->done);
    }
    if (const auto free = may_change(batch->intent); !free) {
      return refuse_change(batch->intent, free.error(), batch->done);
    }
    // Nothing else gets at the history, or begins a trial, until this is enforced.
    lane_.run_next([this, batch] { batch->carried_out = carry_out(*batch); },
                   [this, batch] { enforce(batch); });
  });
}

/// On the disk ahead of the table: packets may see the update at once.
tl::expected<void, RpcError> Changes::carry_out(Batch& batch) {
  auto edited = reconcile_.prepare(*batch.edits);
  if (!edited) {
    return rejected(edited.error());
  }
  batch.edited = *std::move(edited);
  if (reconcile_.enforces(batch.edited)) {
    return {};
  }
  if (archive_ != nullptr) {
    const KeptRevision kept{.revision = reconcile_.planned(batch.edited, batch.intent)};
    if (const auto written = archive_->append(kept, batch.steps); !written) {
      reconcile_.take_back(batch.edited);
      return not_kept(written.error());
    }
  }
  if (const auto updated = reconcile_.update(batch.edited); !updated) {
    reconcile_.take_back(batch.edited);
    take_back();
    return refuse(RpcCode::rejected, to_string(updated.error()));
  }
  return {};
}

void Changes::enforce(const std::shared_ptr<Batch>& batch) {
  if (!batch->carried_out) {
    return refuse_change(batch->intent, batch->carried_out.error(), batch->done);
  }
  const std::string way = batch->edited.way;
  const std::vector<policy::Diagnostic> warnings = batch->edited.candidate.warnings;
  const std::string before = reconcile_.history().back().digest;
  const auto applied = reconcile_.apply(std::move(batch->edited), batch->intent);
  if (!applied) {
    take_back();
    return refuse_change(batch->intent,
                         refuse(RpcCode::not_published, to_string(applied.error())).value(),
                         batch->done);
  }
  json result = to_json(applied->revision);
  result["changed"] = applied->changed;
  if (applied->changed) {
    result["replaced"] = before;
    result["way"] = way;
  }
  result["edits"] = batch->edits->size();
  result["warnings"] = to_json(std::span(warnings));
  const auto took = std::chrono::steady_clock::now() - batch->received;
  result["took_us"] = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  batch->done(std::move(result));
}

void Changes::plan(std::vector<policy::Manifest> manifests, Done done) {
  struct Plan {
    Prepared prepared;
    DeniedFlows denied;
  };
  auto plan = std::make_shared<Plan>();
  const auto compile = [this, plan, manifests = std::move(manifests)] {
    plan->prepared = reconcile_.prepare(manifests);
    if (plan->prepared) {
      plan->denied = denied_flows(reconcile_, *plan->prepared, kFlowsShown);
    }
  };
  lane_.run(compile, [this, plan, done = std::move(done)] {
    if (!plan->prepared) {
      return done(rejected(plan->prepared.error()));
    }
    const Candidate& candidate = *plan->prepared;
    const bool changes = !reconcile_.enforces(candidate);
    json result =
        changes ? to_json(reconcile_.planned(candidate, {})) : to_json(reconcile_.history().back());
    result["changed"] = changes;
    result["warnings"] = to_json(std::span(candidate.warnings));
    result["flows"] = to_json(plan->denied);
    result["flows"]["examples"] = plan->denied.answers
                                      ? flows_json(*plan->denied.answers, kFlowsShown, reconcile_)
                                      : json::array();
    done(std::move(result));
  });
}

void Changes::rollback(std::optional<std::uint64_t> number, Intent intent, Done done) {
  const Revision* target = nullptr;
  if (!number && trial_.pending()) {
    target = &trial_.base();
  } else {
    const auto found = reconcile_.find(number);
    if (!found) {
      return done(refuse(RpcCode::unknown_revision, found.error().message));
    }
    target = *found;
  }
  intent.rollback_to = target->number;
  bring_back(*target, std::move(intent), std::move(done));
}

/// The revision stays alive even if it leaves the history meanwhile: keep() refuses it then.
void Changes::bring_back(const Revision& revision, Intent intent, Done done) {
  auto change = std::make_shared<Change>();
  change->intent = std::move(intent);
  change->done = std::move(done);
  start(change, [this, revision]() -> Prepared {
    if (revision.world) {
      return reconcile_.prepare(revision);
    }
    const auto content = archive_->content(revision.number);
    if (!content) {
      return tl::unexpected(Rejection{.message = to_string(content.error())});
    }
    return reconcile_.prepare(content->manifests, content->steps);
  });
}

tl::expected<void, RpcError> Changes::may_change(const Intent& intent) const {
  if (!trial_.pending() || intent.ends_trial) {
    return {};
  }
  const std::uint64_t tried = trial_.tried().number;
  if (trial_.is_undoing()) {
    return refuse(RpcCode::on_trial,
                  fmt::format("revision {} is being undone this moment; try again", tried));
  }
  if (intent.terms || intent.rollback_to) {
    return {};
  }
  return refuse(
      RpcCode::on_trial,
      fmt::format("revision {} by {} is on trial for another {}: `portcullis confirm` keeps it, "
                  "`portcullis rollback` undoes it, and `commit --confirm` goes on from it",
                  tried,
                  trial_.tried().intent.who,
                  span_text(trial_.left(Trial::Clock::now()))));
}

/// Its content may have gone from the disk with it; and single objects have changed that of a batch
/// that now stands under a later number.
tl::expected<void, RpcError> Changes::may_go_back(const Intent& intent) const {
  const auto& number = intent.rollback_to;
  if (!number || (trial_.pending() && trial_.base().number == *number)) {
    return {};
  }
  if (const auto found = reconcile_.find(number); !found) {
    return refuse(RpcCode::unknown_revision, found.error().message);
  }
  return {};
}

tl::expected<void, RpcError> Changes::may_confirm(std::optional<std::uint64_t> number) const {
  if (!trial_.pending()) {
    return refuse(RpcCode::no_trial,
                  last_undone_ ? fmt::format("nothing is on trial; revision {} was undone: {}",
                                             last_undone_->revision,
                                             last_undone_->reason)
                               : "nothing is on trial");
  }
  const std::uint64_t tried = trial_.tried().number;
  if (trial_.is_undoing()) {
    return refuse(RpcCode::no_trial, fmt::format("too late: revision {} is being undone", tried));
  }
  if (number && *number != tried) {
    return refuse(RpcCode::no_trial,
                  fmt::format("revision {} is on trial, not {}", tried, *number));
  }
  return {};
}

void Changes::confirm(std::optional<std::uint64_t> number, const std::string& who, Done done) {
  if (const auto may = may_confirm(number); !may) {
    return done(tl::unexpected(may.error()));
  }
  const std::uint64_t tried = trial_.tried().number;
  auto kept = std::make_shared<Result<void>>();
  const auto keep = [this, kept, tried] {
    if (archive_ != nullptr) {
      *kept = archive_->confirm(tried);
    }
  };
  lane_.run(keep, [this, kept, tried, who, done = std::move(done)] {
    // Another confirmation, or an end of the trial, may have been ahead of this one.
    if (const auto may = may_confirm(tried); !may) {
      return done(tl::unexpected(may.error()));
    }
    if (!*kept) {
      return done(not_kept(kept->error()));
    }
    json result = to_json(trial_.tried());
    trial_.end();
    log::info("control: revision {} confirmed by {}", tried, who);
    done(std::move(result));
  });
}

void Changes::tick(Trial::Clock::time_point now) {
  drainer_.tick(now);
  trial_.observe(tally_of(reconcile_), now);
  if (edits_in_use_ && lane_.idle() && !reconcile_.is_ready_for_edits()) {
    // An error is the next edit's to tell.
    lane_.run([this] { static_cast<void>(reconcile_.ready_for_edits()); }, [] {});
  }
  if (!trial_.pending()) {
    return;
  }
  if (auto reason = trial_.reason_to_undo(now)) {
    undo_trial(*std::move(reason));
  }
}

void Changes::undo_trial(std::string reason) {
  const Revision& base = trial_.base();
  Undone undone{.revision = trial_.tried().number, .base = base.number, .reason = reason};
  log::warn("control: undoing revision {}: {}", undone.revision, reason);
  Intent intent{.who = "portcullisd",
                .comment = fmt::format("revision {} undone: {}", undone.revision, reason),
                .rollback_to = base.number,
                .ends_trial = true};
  const auto done = [this, undone = std::move(undone)](const Answer& answer) {
    if (!answer) {
      log::error("control: revision {} could not be undone, and is tried again in {}: {}",
                 undone.revision,
                 span_text(Trial::kRetry),
                 answer.error().message);
      return trial_.undoing_failed(Trial::Clock::now());
    }
    last_undone_ = undone;
    last_undone_->time = std::chrono::system_clock::now();
  };
  trial_.set_undoing();
  Done audited_done = audited(intent.who, "undo", intent.comment, done);
  bring_back(base, std::move(intent), std::move(audited_done));
}

void Changes::start(const std::shared_ptr<Change>& change, std::function<Prepared()> compile) {
  if (const auto free = may_change(change->intent); !free) {
    return refuse_change(change->intent, free.error(), change->done);
  }
  if (!change->intent.established) {
    change->intent.established = as_configured(daemon_.config.conntrack);
  }
  const auto prepare = [this, change, compile = std::move(compile)] {
    change->prepared = compile();
    if (change->prepared) {
      change->table = change->prepared->table;
      change->denied = denied_flows(reconcile_, *change->prepared);
    }
  };
  lane_.run(prepare, [this, change] { keep(change); });
}

void Changes::refuse_change(const Intent& intent, const RpcError& error, const Done& done) {
  log::error("control: change by {} refused: {}", intent.who, error.message);
  reconcile_.record_refusal(
      {.time = std::chrono::system_clock::now(), .who = intent.who, .message = error.message});
  done(tl::unexpected(error));
}

void Changes::keep(const std::shared_ptr<Change>& change) {
  if (!change->prepared) {
    return refuse_change(change->intent, rejected(change->prepared.error()).value(), change->done);
  }
  // A trial may have begun while this was compiled.
  if (const auto free = may_change(change->intent); !free) {
    return refuse_change(change->intent, free.error(), change->done);
  }
  if (const auto there = may_go_back(change->intent); !there) {
    return refuse_change(change->intent, there.error(), change->done);
  }
  const bool ends = fate_of(change->intent) == Established::Fate::revalidate || !reconcile_.table();
  if ((archive_ == nullptr && ends) || reconcile_.enforces(*change->prepared)) {
    return enforce(change);
  }
  change->record = {.revision = reconcile_.planned(*change->prepared, change->intent),
                    .on_trial = change->intent.terms && !reconcile_.history().empty()};
  std::optional<dataplane::FlowRequest> overdue;
  if (!ends) {
    overdue = end_overdue(reconcile_);
  }
  const auto make_ready = [this, change, overdue] {
    if (overdue) {
      change->overdue = reconcile_.flows(*overdue);
    }
    if (change->overdue || change->intent.ends_trial) {
      change->kept = write(*change);
    }
  };
  // Nothing else is published, or gets at the history, between these two.
  lane_.run_next(make_ready, [this, change] { enforce(change); });
}

Result<void> Changes::write(Change& change) {
  if (archive_ == nullptr) {
    return {};
  }
  Candidate& candidate = *change.prepared;
  if (change.manifests) {
    PORTCULLIS_TRY(candidate.content, archive_->store(*change.manifests));
  } else {
    PORTCULLIS_TRY(candidate.content, archive_->whole_content(*change.intent.rollback_to));
  }
  change.record.revision.content = candidate.content;
  return archive_->append(change.record);
}

void Changes::enforce(const std::shared_ptr<Change>& change) {
  Intent& intent = change->intent;
  if (!change->overdue) {
    if (!intent.ends_trial) {
      return refuse_change(
          intent,
          refuse(RpcCode::not_answered,
                 fmt::format("nothing changed: flows cannot go on unless those that are denied "
                             "already have ended, and {}; try again, or with established = "
                             "revalidate",
                             change->overdue.error().message))
              .value(),
          change->done);
    }
    intent.established = Established{};
  }
  if (!change->kept) {
    if (!intent.ends_trial) {
      return refuse_change(intent, not_kept(change->kept.error()).value(), change->done);
    }
    // A restart would undo the trial as well: it is not confirmed on the disk.
    log::error("control: the end of a trial is not on the disk: {}",
               to_string(change->kept.error()));
  }
  const std::vector<policy::Diagnostic> warnings = std::move(change->prepared->warnings);
  const std::optional<Revision> before =
      reconcile_.history().empty() ? std::nullopt : std::optional(reconcile_.history().back());
  const bool is_on_disk = archive_ != nullptr && !reconcile_.enforces(*change->prepared);
  change->revoked = flows_revoked(reconcile_);
  const auto applied = reconcile_.apply(*std::move(change->prepared), intent);
  if (!applied) {
    if (is_on_disk && change->kept) {
      take_back();
    }
    return refuse_change(
        intent, refuse(RpcCode::not_published, to_string(applied.error())).value(), change->done);
  }
  if (intent.rollback_to) {
    trial_.end();
  } else if (intent.terms && before && (applied->changed || trial_.pending())) {
    trial_.begin(applied->revision, *before, *intent.terms, Trial::Clock::now());
  }
  if (applied->changed) {
    drainer_.take_over(applied->revision.number, *intent.established, Drain::Clock::now());
  }
  json& result = change->result;
  result = to_json(applied->revision);
  result["trial"] = trial_json(trial_);
  result["changed"] = applied->changed;
  if (applied->changed && before) {
    result["replaced"] = before->digest;
  }
  result["warnings"] = to_json(std::span(warnings));
  json& flows = result["flows"] = to_json(change->denied);
  flows["established"] = to_string(intent.established->fate);
  flows["drain_s"] = intent.established->drain.count();
  flows["ended"] = 0;
  flows["kept"] = 0;
  if (applied->changed) {
    return settle_flows(change, applied->epoch);
  }
  change->done(std::move(result));
}

/// It is a write or two, and rare: on the control thread, too, while the lane rests.
void Changes::take_back() {
  if (archive_ == nullptr) {
    return;
  }
  if (const auto taken = archive_->take_back(); !taken) {
    log::error("control: a revision that is not enforced stays on the disk: {}",
               to_string(taken.error()));
  }
}

/// By their next packet flows would end, too; but some have none for hours, and who asked wants to
/// know how many they are. Where they go on, those that the table allows become its own, so that
/// later edits reach all but those that it denies.
void Changes::settle_flows(const std::shared_ptr<Change>& change, std::uint64_t epoch) {
  const Established::Fate fate = fate_of(change->intent);
  const auto answer = [this, change, fate] {
    json& result = change->result;
    const bool ends = fate == Established::Fate::revalidate;
    json& count = result["flows"][ends ? "ended" : "kept"];
    count = count_json(change->settled);
    if (change->settled && ends) {
      count = flows_matched(*change->settled) + flows_revoked(reconcile_) - change->revoked;
    }
    drainer_.counted(result["revision"].get<std::uint64_t>(), change->settled);
    const json& counts = result["counts"];
    log::info(
        "control: revision {} by {}: {} policies, {} pods, {} rules, table of {} bytes, {} "
        "flows {}",
        result["revision"].dump(),
        change->intent.who,
        counts["policies"].dump(),
        counts["pods"].dump(),
        counts["rules"].dump(),
        change->table->sizes().total,
        count.dump(),
        ends ? "ended" : "go on");
    change->done(std::move(result));
  };
  lane_.run(
      [this, change, request = settle(change->table, epoch, fate)] {
        change->settled = reconcile_.flows(request);
      },
      answer);
}

Changes::Done Changes::audited(std::string who, std::string what, std::string comment, Done done) {
  AuditEntry entry{.who = std::move(who), .what = std::move(what), .comment = std::move(comment)};
  return [this, entry = std::move(entry), done = std::move(done)](Answer answer) {
    record(entry, answer);
    done(std::move(answer));
  };
}

void Changes::record(AuditEntry entry, const Answer& answer) {
  if (!reconcile_.history().empty()) {
    entry.digest_after = reconcile_.history().back().digest;
  }
  const bool has_replaced = answer && answer->contains("replaced");
  entry.digest_before =
      has_replaced ? (*answer)["replaced"].get<std::string>() : entry.digest_after;
  if (!answer) {
    entry.error = answer.error().message;
  }
  audit_.record(entry);
}

}  // namespace portcullis::control
