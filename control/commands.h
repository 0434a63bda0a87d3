// SPDX-License-Identifier: MIT
// The verbs of the control socket, one function each.
// Thread: the control thread; what takes long runs on the lane.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/access/roles.h"
#include "control/change/changes.h"
#include "control/change/open_changes.h"
#include "control/live/view.h"
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
  /// What parsing made of a message; `place` is that of a large one.
  void proceed(const Caller& caller,
               tl::expected<Request, Refusal> parsed,
               OpenChanges::Place place,
               const Server::Reply& reply);
  void dispatch(const Caller& caller, Request request, const Done& done);

  [[nodiscard]] Answer hello(const nlohmann::json& params) const;
  /// Calls with what runs as a person knows it, now or after the lane has put that together.
  void with_view(std::function<void(const std::shared_ptr<const View>&)> then);
  [[nodiscard]] Answer explain(const nlohmann::json& params, const View& view) const;
  void commit_request(const Caller& caller, nlohmann::json& params, const Done& done);
  void edit_request(const Caller& caller, nlohmann::json& params, const Done& done);
  void plan_request(nlohmann::json& params, const Done& done);
  void rollback_request(const Caller& caller, const nlohmann::json& params, const Done& done);
  void confirm_request(const Caller& caller, const nlohmann::json& params, const Done& done);
  void show_request(const nlohmann::json& params, const Done& done);
  void diff_request(const nlohmann::json& params, const Done& done);
  /// Asks the workers about their flows, on the lane.
  void flows_request(const Caller& caller,
                     const Request& request,
                     const std::shared_ptr<const View>& view,
                     const Done& done);

  Lane& lane_;
  Reconcile& reconcile_;
  const Daemon& daemon_;
  Changes& changes_;
  const Roles roles_;
  Ports ports_;
  OpenChanges open_;
};

}  // namespace portcullis::control
