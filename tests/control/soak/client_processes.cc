// SPDX-License-Identifier: MIT
#include "tests/control/soak/client_processes.h"

#include <csignal>
#include <filesystem>
#include <utility>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

namespace portcullis::control {

ClientProcesses::ClientProcesses(ServerOptions options, Count count, std::uint64_t seed)
    : options_(std::move(options)), next_seed_(seed), clients_(count.changing + count.garbage) {
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    clients_[i].sends_garbage = i >= count.changing;
    start(clients_[i]);
  }
}

void ClientProcesses::start(Client& client) {
  const auto program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "soak_client";
  std::vector<std::string> words{program,
                                 options_.socket,
                                 std::to_string(next_seed_++),
                                 client.sends_garbage ? "garbage" : "changes",
                                 std::to_string(options_.clients_max),
                                 std::to_string(options_.message_bytes_max),
                                 std::to_string(options_.client_timeout.count())};
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  const int error =
      ::posix_spawn(&client.pid, program.c_str(), nullptr, nullptr, arguments.data(), ::environ);
  PORTCULLIS_CHECK(error == 0);
}

void ClientProcesses::kill(Client& client) {
  ::kill(client.pid, SIGKILL);
  int status = 0;
  PORTCULLIS_CHECK(::waitpid(client.pid, &status, 0) == client.pid);
  in_trouble_ += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : 1;
}

void ClientProcesses::replace(std::size_t index) {
  kill(clients_.at(index));
  start(clients_.at(index));
}

void ClientProcesses::end() {
  for (Client& client : clients_) {
    kill(client);
  }
  clients_.clear();
}

}  // namespace portcullis::control
