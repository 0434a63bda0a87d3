// SPDX-License-Identifier: MIT
// The other end of the control socket, for the CLI and for other programs: blocking calls with a
// timeout, one by one or many ahead of their answers. docs/protocol.md says what may be asked.
// Thread: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"
#include "control/protocol.h"

namespace portcullis::control {

/// What `hello` tells of a daemon.
struct DaemonVersion {
  int protocol = 0;  // The one to speak: kProtocolVersion.
  std::string server;
  std::string version;
};

/// A connection. After an Error, but that of submit() that too many answers wait, only what has
/// come already can be had; then connect again. Owner: of the connection, which ends with it.
class Client {
 public:
  /// Requests of submit() whose answers are not taken yet, at most; and bytes of answers that have
  /// come and wait to be taken, from which on submit() refuses. One answer may have more than that.
  static constexpr std::size_t kPendingMax = 4096;
  static constexpr std::size_t kUntakenBytesMax = std::size_t{16} << 20U;

  /// `timeout` is for each of what follows: to connect, to send a message, to get an answer.
  /// Errors: nobody listens there (the message says how to start a daemon), no permission, or the
  /// daemon is too busy to accept within `timeout`.
  static Result<Client> connect(const std::string& socket, std::chrono::milliseconds timeout);

  /// Agrees on the protocol. Every request names ours anyway, so this is for those who want to know
  /// ahead, or what daemon it is. `name` is for the daemon's eyes.
  /// REQUIRES: pending() == 0. Errors: as of call(); the daemon does not speak our protocol.
  Result<DaemonVersion> hello(std::string_view name);

  /// Sends one request and waits for its answer.
  /// REQUIRES: pending() == 0. Errors: the connection breaks or is too slow, or the answer is no
  /// JSON-RPC. What the daemon refuses is an Answer.
  Result<Answer> call(std::string_view method, nlohmann::json params);

  /// Sends one request, without waiting for the answers to those before it. Where the daemon takes
  /// no more until its answers are read, they are read and kept, so that neither waits for the
  /// other. Errors: too many answers wait (nothing was sent; take() some); the connection breaks or
  /// is too slow (it is pending all the same: take() tells what the daemon said, if it did).
  Result<void> submit(std::string_view method, nlohmann::json params);
  /// The answer to the oldest request of submit() that has none yet; waits for it.
  /// REQUIRES: pending() > 0. Errors: as of call(); what came ahead of them is had first.
  Result<Answer> take();
  /// Requests of submit() whose answers are not taken.
  [[nodiscard]] std::size_t pending() const { return static_cast<std::size_t>(sent_ - taken_); }

  /// One line, without its newline, as it is: for messages of one's own making. take() knows
  /// nothing of them.
  Result<void> send(std::string_view line);
  Result<std::string> receive();
  /// Bytes as they are.
  Result<void> send_bytes(std::string_view bytes);
  /// Sends no more; answers still come.
  void end();

 private:
  using Clock = std::chrono::steady_clock;
  Client(UniqueFd fd, std::string socket, std::chrono::milliseconds timeout);
  /// The poll events that have come.
  [[nodiscard]] Result<short> await(short poll_events, Clock::time_point deadline) const;
  /// Reads what is there, at most a chunk. True: something was.
  Result<bool> fill();
  /// The next whole line of the input, if it is there.
  bool next_line(std::string& line);
  [[nodiscard]] std::size_t untaken_bytes() const { return input_.size() - begin_; }

  UniqueFd fd_;
  std::string socket_;
  std::chrono::milliseconds timeout_;
  std::string input_;
  std::size_t begin_ = 0;    // What is ahead of it in input_ was taken.
  std::size_t scanned_ = 0;  // No newline from begin_ to here.
  // The ids of the last request that was sent, and of the last whose answer was taken.
  int sent_ = 0;
  int taken_ = 0;
};

}  // namespace portcullis::control
