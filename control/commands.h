// SPDX-License-Identifier: MIT
// The verbs of the control socket, one function each.
// Thread: the control thread; what takes long runs on the lane.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/access/audit.h"
#include "control/access/roles.h"
#include "control/loop.h"
#include "control/port/ports.h"
#include "control/protocol.h"
#include "control/reconcile.h"
#include "control/server.h"
#include "control/status.h"
#include "control/trial/trial.h"
#include "policy/snapshot.h"

namespace portcullis::control {

class Commands {
 public:
  /// Takes what became of a change, on the control thread.
  using Done = std::function<void(Answer)>;

  /// REQUIRES: lane and reconcile outlive it, and so does it the lane's jobs.
  Commands(Lane& lane, Reconcile& reconcile, Daemon daemon, Roles roles = {}, Audit audit = {});

  /// Serves one message of the socket. Never blocks: what is large or slow goes to the lane.
  void handle(const Caller& caller, std::string message, const Server::Reply& reply);

  /// A commit of the configuration's manifests, read again.
  void reload(std::vector<policy::Manifest> manifests, Done done);
  /// Looks after a trial: undoes it when its time is over or a guard trips. To be called each
  /// second or so.
  void tick(Trial::Clock::time_point now);

 private:
  struct Change;

  void dispatch(const Caller& caller, Request request, const Done& done);
  /// Compiles on the lane, then enforces; answers with the revision or with why not.
  void commit(std::vector<policy::Manifest> manifests, Intent intent, Done done);
  /// Enforces an earlier revision's snapshot as a new revision; absent: the one ahead of this, and
  /// in a trial the one ahead of the trial. Ends a trial.
  void rollback(std::optional<std::uint64_t> number, Intent intent, Done done);
  /// `compile` runs on the lane.
  void change(std::function<Prepared()> compile, Intent intent, Done done);

  /// `done`, but what came of it goes to the audit log ahead.
  [[nodiscard]] Done audited(std::string who, std::string what, std::string comment, Done done);
  void record(AuditEntry entry, const Answer& answer);

  [[nodiscard]] Answer hello(const nlohmann::json& params) const;
  [[nodiscard]] Answer explain(const nlohmann::json& params) const;
  void commit_request(const Caller& caller, nlohmann::json& params, const Done& done);
  /// As a commit, but nothing is enforced.
  void plan_request(nlohmann::json& params, const Done& done);
  void rollback_request(const Caller& caller, const nlohmann::json& params, const Done& done);
  /// Ends the trial of the running revision: it stays.
  [[nodiscard]] Answer confirm(const Caller& caller, const nlohmann::json& params);
  /// Errors: a trial is under way that this change is no part of.
  [[nodiscard]] tl::expected<void, RpcError> may_change(const Intent& intent) const;
  void undo_trial(std::string reason);
  /// Says that a change did not happen, to the log, to `status` and to who asked.
  void refuse_change(const Intent& intent, const RpcError& error, const Done& done);
  /// Asks the workers about their flows, on the lane.
  void flows_request(const Caller& caller, const Request& request, const Done& done);
  /// Publishes what was compiled; then ends the flows that it denies, on the lane, and answers.
  void enforce(const std::shared_ptr<Change>& change);
  void end_denied(const std::shared_ptr<Change>& change, std::uint64_t epoch);

  Lane& lane_;
  Reconcile& reconcile_;
  Daemon daemon_;
  const Roles roles_;
  Audit audit_;
  Ports ports_;
  Trial trial_;
  std::optional<Undone> last_undone_;
};

}  // namespace portcullis::control
