// SPDX-License-Identifier: MIT
// The verbs of the control socket, one function each.
// Thread: the control thread; what takes long runs on the lane.
#pragma once

#include <string>

#include "control/access/roles.h"
#include "control/change/changes.h"
#include "control/loop.h"
#include "control/port/ports.h"
#include "control/protocol.h"
#include "control/reconcile.h"
#include "control/server.h"
#include "control/status.h"

namespace portcullis::control {

class Commands {
 public:
  using Done = Changes::Done;

  /// REQUIRES: lane, reconcile and changes outlive it, and so does it the lane's jobs.
  Commands(
      Lane& lane, Reconcile& reconcile, const Daemon& daemon, Changes& changes, Roles roles = {});

  /// Serves one message of the socket. Never blocks: what is large or slow goes to the lane.
  void handle(const Caller& caller, std::string message, const Server::Reply& reply);

 private:
  void dispatch(const Caller& caller, Request request, const Done& done);

  [[nodiscard]] Answer hello(const nlohmann::json& params) const;
  [[nodiscard]] Answer explain(const nlohmann::json& params) const;
  void commit_request(const Caller& caller, nlohmann::json& params, const Done& done);
  void plan_request(nlohmann::json& params, const Done& done);
  void rollback_request(const Caller& caller, const nlohmann::json& params, const Done& done);
  void confirm_request(const Caller& caller, const nlohmann::json& params, const Done& done);
  void show_request(const nlohmann::json& params, const Done& done);
  void diff_request(const nlohmann::json& params, const Done& done);
  /// Asks the workers about their flows, on the lane.
  void flows_request(const Caller& caller, const Request& request, const Done& done);

  Lane& lane_;
  Reconcile& reconcile_;
  const Daemon& daemon_;
  Changes& changes_;
  const Roles roles_;
  Ports ports_;
};

}  // namespace portcullis::control
