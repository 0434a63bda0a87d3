// SPDX-License-Identifier: MIT
// A whole control plane on a socket of its own, over a fake dataplane, for tests.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "control/ask.h"
#include "control/commands.h"
#include "tests/control/fake_publisher.h"
#include "tests/control/live_server.h"

namespace portcullis::control {

class LivePlane {
 public:
  explicit LivePlane(ReconcileOptions options = open_by_default())
      : reconcile_(std::move(options), publisher_),
        server_({}, [this](LiveServer& live, std::string message, const Server::Reply& reply) {
          if (!commands_) {
            daemon_.config = config_;
            daemon_.port_driver = &publisher_;
            Archive* const archive = archive_ ? &*archive_ : nullptr;
            changes_ = std::make_unique<Changes>(
                live.lane(), reconcile_, daemon_, archive, std::move(audit_));
            commands_ = std::make_unique<Commands>(
                live.lane(), reconcile_, daemon_, *changes_, std::move(roles_));
          }
          commands_->handle(caller_, std::move(message), reply);
        }) {}

  Answer call(const std::string& method, const nlohmann::json& params = nlohmann::json::object()) {
    Client client = server_.connect();
    return *client.call(method, params);
  }
  [[nodiscard]] Target target(bool as_json = false) const {
    return {.socket = server_.socket(), .json = as_json};
  }

  // Until the first call.
  config::Config config_;
  Roles roles_;
  Audit audit_;

  Caller caller_{.uid = 0, .pid = 1};  // Between calls.
  FakePublisher publisher_;
  Reconcile reconcile_;
  Daemon daemon_;
  std::optional<Archive> archive_;  // Until the first call.
  std::unique_ptr<Changes> changes_;
  std::unique_ptr<Commands> commands_;
  LiveServer server_;  // Last: its thread uses the rest.
};

class LiveCommands : public testing::Test, public LivePlane {};

}  // namespace portcullis::control
