// SPDX-License-Identifier: MIT
// The clients of the soak: so many processes at a time, some of which are killed wherever they are
// and replaced.
// Thread: the one that made it, which must live on: they end with it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "control/server.h"

namespace portcullis::control {

class ClientProcesses {
 public:
  struct Count {
    std::size_t changing = 0;
    std::size_t garbage = 0;
  };
  /// `options` are the server's. The program soak_client lies beside this one. Dies without it.
  ClientProcesses(ServerOptions options, Count count, std::uint64_t seed);
  ClientProcesses(const ClientProcesses&) = delete;
  ClientProcesses& operator=(const ClientProcesses&) = delete;
  ~ClientProcesses() { end(); }

  /// Kills one, and starts another in its place.
  void replace(std::size_t index);
  /// Kills all.
  void end();
  [[nodiscard]] std::size_t size() const { return clients_.size(); }
  /// Those that ended by themselves, because something was wrong; they have told it.
  [[nodiscard]] std::uint64_t in_trouble() const { return in_trouble_; }

 private:
  struct Client {
    bool sends_garbage = false;
    pid_t pid = 0;
  };
  void start(Client& client);
  void kill(Client& client);

  const ServerOptions options_;
  std::uint64_t next_seed_;
  std::vector<Client> clients_;
  std::uint64_t in_trouble_ = 0;
};

}  // namespace portcullis::control
