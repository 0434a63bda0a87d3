// SPDX-License-Identifier: MIT
// A server on a socket of its own, served by a thread, for tests.
#pragma once

#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <stdlib.h>  // NOLINT: mkdtemp is POSIX.
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/check.h"
#include "control/client.h"
#include "control/loop.h"
#include "control/server.h"

namespace portcullis::control {

/// A directory that goes with its owner.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "portcullis-control-XXXXXX";
    PORTCULLIS_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// Serves `handler` until it goes. The handler runs on the server's thread.
class LiveServer {
 public:
  using Handling = std::function<void(LiveServer&, std::string message, Server::Reply reply)>;

  LiveServer(ServerOptions options, Handling handling) {
    loop_ = std::move(*Loop::make());
    lane_ = std::make_unique<Lane>(*loop_);
    if (options.socket.empty()) {
      options.socket = folder_.file("control.sock");
    }
    socket_ = options.socket;
    auto server =
        Server::open(*loop_,
                     std::move(options),
                     [this, handling](const Caller&, std::string message, Server::Reply reply) {
                       handling(*this, std::move(message), std::move(reply));
                     });
    PORTCULLIS_CHECK(server.has_value());
    server_ = std::move(*server);
    thread_ = std::jthread([this] { loop_->run(); });
  }
  ~LiveServer() {
    loop_->stop();
    thread_.join();
    lane_.reset();
    server_.reset();
  }
  LiveServer(const LiveServer&) = delete;
  LiveServer& operator=(const LiveServer&) = delete;

  [[nodiscard]] const std::string& socket() const { return socket_; }
  [[nodiscard]] Lane& lane() { return *lane_; }
  /// Runs `task` on the server's thread, and waits for its end.
  void run(const Task& task) {
    std::promise<void> done;
    loop_->post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  [[nodiscard]] Client connect() const {
    auto client = Client::connect(socket_, std::chrono::seconds(20));
    PORTCULLIS_CHECK(client.has_value());
    return std::move(*client);
  }

 private:
  ScratchFolder folder_;
  std::string socket_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Lane> lane_;
  std::unique_ptr<Server> server_;
  std::jthread thread_;
};

}  // namespace portcullis::control
