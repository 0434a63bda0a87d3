// SPDX-License-Identifier: MIT
#include "control/client.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <fmt/format.h>

namespace portcullis::control {
namespace {

using nlohmann::json;

/// An answer longer than this is no answer of ours.
constexpr std::size_t kAnswerBytesMax = std::size_t{256} << 20U;
/// How long to wait before asking again a daemon whose queue of connections is full.
constexpr std::chrono::milliseconds kRetryPeriod{10};

Failure not_connected(const std::string& socket, int reason) {
  if (reason == ENOENT || reason == ECONNREFUSED) {
    return fail(
        fmt::format("no daemon listens on {}: start one with `portcullisd --config FILE` "
                    "(or `systemctl start portcullisd`), or name its socket with -s",
                    socket));
  }
  if (reason == EACCES || reason == EPERM) {
    return fail(
        fmt::format("no permission for {}: be root or a member of the socket's group", socket));
  }
  return fail(fmt::format("cannot connect to {}: {}", socket, std::strerror(reason)));
}

}  // namespace

Client::Client(UniqueFd fd, std::string socket, std::chrono::milliseconds timeout)
    : fd_(std::move(fd)), socket_(std::move(socket)), timeout_(timeout) {}

Result<Client> Client::connect(const std::string& socket, std::chrono::milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) {
    return not_connected(socket, ENAMETOOLONG);
  }
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    return not_connected(socket, errno);
  }
  const Clock::time_point deadline = Clock::now() + timeout;
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EAGAIN && errno != EINTR) {
      return not_connected(socket, errno);
    }
    if (Clock::now() >= deadline) {
      return fail(fmt::format("the daemon on {} does not accept connections", socket));
    }
    std::this_thread::sleep_for(kRetryPeriod);
  }
  return Client(std::move(fd), socket, timeout);
}

Result<void> Client::await(short poll_events, Clock::time_point deadline) const {
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd watched{.fd = fd_.get(), .events = poll_events, .revents = 0};
    const int count = left.count() <= 0 ? 0 : ::poll(&watched, 1, static_cast<int>(left.count()));
    if (count > 0) {
      return {};
    }
    if (count == 0) {
      return fail(
          fmt::format("the daemon on {} did not answer within {} ms", socket_, timeout_.count()));
    }
    if (errno != EINTR) {
      return fail(fmt::format("cannot wait for {}: {}", socket_, std::strerror(errno)));
    }
  }
}

Result<void> Client::send(std::string_view line) {
  return send_bytes(std::string(line) + "\n");
}

void Client::end() {
  ::shutdown(fd_.get(), SHUT_WR);
}

Result<void> Client::send_bytes(std::string_view bytes) {
  const Clock::time_point deadline = Clock::now() + timeout_;
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t put = ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (put >= 0) {
      sent += static_cast<std::size_t>(put);
    } else if (errno == EAGAIN || errno == EINTR) {
      PORTCULLIS_TRY_VOID(await(POLLOUT, deadline));
    } else {
      return fail(fmt::format("the daemon on {} hung up: {}", socket_, std::strerror(errno)));
    }
  }
  return {};
}

Result<std::string> Client::receive() {
  const Clock::time_point deadline = Clock::now() + timeout_;
  std::size_t scanned = 0;
  std::array<char, 65536> chunk{};
  while (true) {
    const std::size_t newline = input_.find('\n', scanned);
    if (newline != std::string::npos) {
      std::string line = input_.substr(0, newline);
      input_.erase(0, newline + 1);
      return line;
    }
    scanned = input_.size();
    if (scanned > kAnswerBytesMax) {
      return fail(fmt::format("the answer from {} is too large", socket_));
    }
    const ssize_t got = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
    if (got > 0) {
      input_.append(chunk.data(), static_cast<std::size_t>(got));
    } else if (got == 0) {
      return fail(fmt::format("the daemon on {} closed the connection", socket_));
    } else if (errno == EAGAIN || errno == EINTR) {
      PORTCULLIS_TRY_VOID(await(POLLIN, deadline));
    } else {
      return fail(fmt::format("cannot read from {}: {}", socket_, std::strerror(errno)));
    }
  }
}

Result<Answer> Client::call(std::string_view method, json params) {
  const auto sent = send(request_line(++next_id_, method, std::move(params)));
  // A daemon that refuses a message before its end says why, and that is still there to read.
  auto line = receive();
  if (!line) {
    return Failure(sent ? line.error() : sent.error());
  }
  return parse_answer(*line);
}

}  // namespace portcullis::control
