// SPDX-License-Identifier: MIT
// Ten ways to misuse the control socket, and what docs/protocol.md says becomes of each.
// Thread: pure functions of their arguments; each has connections of its own.
#pragma once

#include <optional>
#include <random>
#include <span>
#include <string>

#include "control/protocol.h"
#include "control/server.h"

namespace portcullis::control {

/// How it ends for who misuses the socket.
struct Ending {
  std::optional<RpcCode> code;  // Of the last error that was said; nothing: none was.
  bool is_cut_off = false;      // The connection was closed; else it goes on to serve.
  friend bool operator==(const Ending&, const Ending&) = default;
};
std::string to_string(const Ending& ending);

struct Garbage {
  const char* name;
  Ending documented;
  /// `options` are those of the server. Takes no longer than some of its client timeouts.
  Ending (*send)(const ServerOptions& options, std::mt19937_64& random);
};

/// Of ten kinds.
std::span<const Garbage> garbage();

}  // namespace portcullis::control
