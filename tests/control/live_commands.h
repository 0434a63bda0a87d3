// SPDX-License-Identifier: MIT
// A whole control plane on a socket of its own, over a fake dataplane, for tests.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "control/ask.h"
#include "control/commands.h"
#include "tests/control/fake_publisher.h"
#include "tests/control/live_server.h"

namespace portcullis::control {

class LiveCommands : public testing::Test {
 protected:
  LiveCommands()
      : reconcile_(open_by_default(), publisher_),
        server_({}, [this](LiveServer& live, std::string message, const Server::Reply& reply) {
          if (!commands_) {
            commands_ =
                std::make_unique<Commands>(live.lane(),
                                           reconcile_,
                                           Daemon{.config = config_, .port_driver = &publisher_},
                                           std::move(roles_),
                                           std::move(audit_));
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
  std::unique_ptr<Commands> commands_;
  LiveServer server_;  // Last: its thread uses the rest.
};

}  // namespace portcullis::control
