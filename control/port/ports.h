// SPDX-License-Identifier: MIT
// The methods port.add and port.remove: a pod's port that comes or goes while packets pass.
// Thread: the control thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "config/config.h"
#include "control/protocol.h"
#include "control/server.h"

namespace portcullis::control {

/// Who opens and closes ports: the dataplane, or a fake in tests.
class PortDriver {
 public:
  PortDriver() = default;
  PortDriver(const PortDriver&) = delete;
  PortDriver& operator=(const PortDriver&) = delete;
  virtual ~PortDriver() = default;

  /// As Dataplane's. Errors: nothing has changed.
  virtual Result<void> add_port(const config::Port& options) = 0;
  virtual Result<void> remove_port(const std::string& name) = 0;
};

class Ports {
 public:
  /// `config`: as the daemon was started. REQUIRES: the driver, where there is one, outlives it.
  Ports(config::Config config, PortDriver* driver) : config_(std::move(config)), driver_(driver) {}

  /// Answers port.add or port.remove, at once. Errors: each says what to mend; nothing has changed.
  [[nodiscard]] Answer change(const Caller& caller, const Request& request);

 private:
  [[nodiscard]] Answer add(const Caller& caller, const nlohmann::json& params);
  [[nodiscard]] Answer remove(const Caller& caller, const nlohmann::json& params);
  [[nodiscard]] tl::expected<void, RpcError> may_add(const config::Port& port) const;

  config::Config config_;  // What would start the daemon with the ports that it has now.
  PortDriver* driver_;
};

/// "port.add web-7": the method, and for those about a port its name. For the audit log.
std::string audit_text(std::string_view method, const nlohmann::json& params);

}  // namespace portcullis::control
