// SPDX-License-Identifier: MIT
// Changes: what becomes of a commit, a batch, a rollback and a trial. One at a time is compiled,
// kept on disk, enforced, and the flows that it denies are ended; then its caller hears of it.
// Thread: the control thread; what takes long runs on the lane.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/access/audit.h"
#include "control/change/drain.h"
#include "control/change/past.h"
#include "control/change/trial.h"
#include "control/loop.h"
#include "control/protocol.h"
#include "control/reconcile.h"
#include "control/state/archive.h"
#include "control/status.h"
#include "policy/edit.h"
#include "policy/snapshot.h"

namespace portcullis::control {

class Changes {
 public:
  /// Takes what became of a change, on the control thread.
  using Done = std::function<void(Answer)>;

  /// REQUIRES: all that is pointed to outlives it, and so does it the lane's jobs. Without an
  /// archive nothing outlives the process.
  Changes(Lane& lane, Reconcile& reconcile, const Daemon& daemon, Archive* archive, Audit audit);

  void commit(std::vector<policy::Manifest> manifests, Intent intent, Done done);
  /// Single objects of what runs: all of them, or none.
  void edit(std::vector<policy::Step> steps, Intent intent, Done done);
  /// As a commit, but nothing is enforced.
  void plan(std::vector<policy::Manifest> manifests, Done done);
  /// Enforces an earlier revision's content as a new revision; absent: the one ahead of this, and
  /// in a trial the one ahead of the trial. Ends a trial.
  void rollback(std::optional<std::uint64_t> number, Intent intent, Done done);
  /// Ends the trial of the running revision, which stays. Absent: whichever is on trial.
  void confirm(std::optional<std::uint64_t> number, const std::string& who, Done done);
  /// Looks after a trial, and undoes it when its time is over or a guard trips; after a drain; and
  /// makes ready for edits, where they are in use. To be called each second or so.
  void tick(Trial::Clock::time_point now);

  [[nodiscard]] const Past& past() const { return past_; }
  [[nodiscard]] const Trial& trial() const { return trial_; }
  [[nodiscard]] const std::optional<Undone>& last_undone() const { return last_undone_; }
  [[nodiscard]] const std::optional<Drain>& drain() const { return drainer_.drain(); }

  /// `done`, but what came of it goes to the audit log ahead.
  [[nodiscard]] Done audited(std::string who, std::string what, std::string comment, Done done);

 private:
  struct Change;
  struct Batch;

  /// `compile` runs on the lane.
  void start(const std::shared_ptr<Change>& change, std::function<Prepared()> compile);
  void bring_back(const Revision& revision, Intent intent, Done done);
  /// Keeps what was compiled, and ends flows that are denied already where all others shall go on;
  /// on the lane.
  void keep(const std::shared_ptr<Change>& change);
  Result<void> write(Change& change);
  /// Publishes it; then ends the flows that it denies, or counts them, on the lane, and answers.
  void enforce(const std::shared_ptr<Change>& change);
  void settle_flows(const std::shared_ptr<Change>& change, std::uint64_t epoch);
  /// Puts a batch into the table and on the disk, on the lane.
  tl::expected<void, RpcError> carry_out(Batch& batch);
  void enforce(const std::shared_ptr<Batch>& batch);
  void undo_trial(std::string reason);
  /// Errors: a trial is under way that this change is no part of.
  [[nodiscard]] tl::expected<void, RpcError> may_change(const Intent& intent) const;
  /// Errors: the revision to go back to has left the history while this waited.
  [[nodiscard]] tl::expected<void, RpcError> may_go_back(const Intent& intent) const;
  /// Errors: the revision is not on trial, or no longer.
  [[nodiscard]] tl::expected<void, RpcError> may_confirm(std::optional<std::uint64_t> number) const;
  /// Says that a change did not happen, to the log, to `status` and to who asked.
  void refuse_change(const Intent& intent, const RpcError& error, const Done& done);
  void take_back();
  void record(AuditEntry entry, const Answer& answer);

  Lane& lane_;
  Reconcile& reconcile_;
  const Daemon& daemon_;
  Archive* archive_;
  Audit audit_;
  Past past_;
  Trial trial_;
  Drainer drainer_;
  std::optional<Undone> last_undone_;
  bool edits_in_use_ = false;  // Who has sent one sends more.
};

}  // namespace portcullis::control
