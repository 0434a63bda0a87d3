// SPDX-License-Identifier: MIT
// The Unix socket: many clients on one thread, none of which can make another wait.
// Thread: the loop's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "control/loop.h"
#include "control/protocol.h"

namespace portcullis::control {

/// Who is at the other end, by SO_PEERCRED and SO_PEERGROUPS (unix(7)): as it connected.
struct Caller {
  uid_t uid = 0;
  std::vector<gid_t> groups;  // Of the process, its first one among them.
  pid_t pid = 0;
  /// "alice (uid 1000, pid 4711)"; the number alone where the name is not known.
  [[nodiscard]] std::string text() const;
};

struct ServerOptions {
  std::string socket;
  std::size_t clients_max = 64;
  std::size_t message_bytes_max = std::size_t{64} << 20U;
  /// How long a client may take to finish a message, to read its answer, or to be silent.
  std::chrono::milliseconds client_timeout{30'000};
};

/// Owner: its clients' connections, the socket file and the lock file beside it.
class Server {
 public:
  /// Takes the answer line to one message; the empty line means that none is due. Call it once,
  /// on the loop's thread, now or later: the client may be gone by then, which is no error.
  using Reply = std::function<void(std::string line)>;
  /// Takes one message (a line without its newline). A client's next message comes only after
  /// the reply to this one.
  using Handler = std::function<void(const Caller& caller, std::string message, Reply reply)>;

  /// Listens; the socket file has mode 0660 from its first moment. A socket file that a dead
  /// daemon left is replaced.
  /// Errors: another daemon listens there; the path is taken by something that is no socket, is
  /// too long, or its directory does not exist.
  static Result<std::unique_ptr<Server>> open(Loop& loop, ServerOptions options, Handler handler);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  /// Closes every client and removes the socket file.
  ~Server();

  [[nodiscard]] std::size_t clients() const;

 private:
  struct State;
  explicit Server(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // Replies hold it weakly.
};

}  // namespace portcullis::control
