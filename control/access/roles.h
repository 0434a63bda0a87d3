// SPDX-License-Identifier: MIT
// Who may ask the daemon for what: roles, held by the groups of a caller.
// Thread: const from birth.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "config/config.h"
#include "control/protocol.h"
#include "control/server.h"

namespace portcullis::control {

/// Each may do what those ahead of it may.
enum class Role : std::uint8_t {
  none,
  observe,     // Look: status, history, explain, flows.
  operate,     // Rehearse, confirm, go back, end flows, let pods' ports come and go.
  administer,  // Commit.
};

/// True of methods that change what is enforced or known: each call of one is in the audit log.
bool is_audited(std::string_view method);

class Roles {
 public:
  /// Everyone who may open the socket may do everything.
  Roles() = default;
  /// With no groups named, as above. Errors: a group that does not exist, with its key.
  static Result<Roles> of(const config::Control& options);

  /// The highest role of its groups. Root's and the daemon's own user is always the last one.
  [[nodiscard]] Role of(const Caller& caller) const;
  /// Errors: forbidden, with what would have to be.
  [[nodiscard]] tl::expected<void, RpcError> permit(const Caller& caller,
                                                    std::string_view method) const;

 private:
  struct Holder {
    gid_t group = 0;
    Role role = Role::none;
  };
  std::optional<std::vector<Holder>> holders_;  // Nothing: no roles are told apart.
};

}  // namespace portcullis::control
