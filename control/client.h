// SPDX-License-Identifier: MIT
// The other end of the control socket: blocking calls with a timeout, for the CLI and for tests.
// Thread: one.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"
#include "control/protocol.h"

namespace portcullis::control {

class Client {
 public:
  /// Errors: nobody listens there (the message says how to start a daemon), no permission, or the
  /// daemon is too busy to accept within `timeout`.
  static Result<Client> connect(const std::string& socket, std::chrono::milliseconds timeout);

  /// Sends one request and waits for its answer, both within the timeout.
  /// Errors: the connection breaks or is too slow, or the answer is no JSON-RPC. What the daemon
  /// refuses is an Answer.
  Result<Answer> call(std::string_view method, nlohmann::json params);

  /// One line, without its newline.
  Result<void> send(std::string_view line);
  Result<std::string> receive();
  /// Bytes as they are.
  Result<void> send_bytes(std::string_view bytes);
  /// Sends no more; answers still come.
  void end();

 private:
  using Clock = std::chrono::steady_clock;
  Client(UniqueFd fd, std::string socket, std::chrono::milliseconds timeout);
  Result<void> await(short poll_events, Clock::time_point deadline) const;

  UniqueFd fd_;
  std::string socket_;
  std::chrono::milliseconds timeout_;
  std::string input_;
  int next_id_ = 0;
};

}  // namespace portcullis::control
