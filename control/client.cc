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

#include "base/check.h"

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

Result<short> Client::await(short poll_events, Clock::time_point deadline) const {
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd watched{.fd = fd_.get(), .events = poll_events, .revents = 0};
    const int count = left.count() <= 0 ? 0 : ::poll(&watched, 1, static_cast<int>(left.count()));
    if (count > 0) {
      return watched.revents;
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
      // A daemon reads the next request only when its answer to the last one has been taken.
      const bool has_room = untaken_bytes() <= kAnswerBytesMax;
      const auto wanted = static_cast<short>(has_room ? POLLOUT | POLLIN : POLLOUT);
      PORTCULLIS_TRY(const short ready, await(wanted, deadline));
      if ((ready & POLLIN) != 0) {
        PORTCULLIS_TRY_VOID(fill());
      }
    } else {
      return fail(fmt::format("the daemon on {} hung up: {}", socket_, std::strerror(errno)));
    }
  }
  return {};
}

Result<bool> Client::fill() {
  std::array<char, 65536> chunk;  // NOLINT: it needs no zeroing.
  const ssize_t got = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
  if (got > 0) {
    input_.append(chunk.data(), static_cast<std::size_t>(got));
    return true;
  }
  if (got == 0 || errno == ECONNRESET) {
    return fail(
        fmt::format("the daemon on {} closed the connection{}",
                    socket_,
                    pending() > 1 ? fmt::format(" with {} requests not answered", pending()) : ""));
  }
  if (errno == EAGAIN || errno == EINTR) {
    return false;
  }
  return fail(fmt::format("cannot read from {}: {}", socket_, std::strerror(errno)));
}

bool Client::next_line(std::string& line) {
  const std::size_t newline = input_.find('\n', scanned_);
  if (newline == std::string::npos) {
    scanned_ = input_.size();
    return false;
  }
  line = input_.substr(begin_, newline - begin_);
  begin_ = newline + 1;
  // Moved together rarely, so that many short answers cost no more than their bytes.
  if (begin_ > input_.size() / 2) {
    input_.erase(0, begin_);
    begin_ = 0;
  }
  scanned_ = begin_;
  return true;
}

Result<std::string> Client::receive() {
  const Clock::time_point deadline = Clock::now() + timeout_;
  std::string line;
  while (!next_line(line)) {
    if (untaken_bytes() > kAnswerBytesMax) {
      return fail(fmt::format("the answer from {} is too large", socket_));
    }
    PORTCULLIS_TRY(const bool has_come, fill());
    if (!has_come) {
      PORTCULLIS_TRY_VOID(await(POLLIN, deadline));
    }
  }
  return line;
}

Result<void> Client::submit(std::string_view method, json params) {
  if (pending() >= kPendingMax || untaken_bytes() >= kUntakenBytesMax) {
    return fail(fmt::format("{} requests wait for their answers to be taken", pending()));
  }
  // Where it cannot be sent to its end, the daemon may have refused it, and take() tells.
  return send(request_line(++sent_, method, std::move(params)));
}

Result<Answer> Client::take() {
  PORTCULLIS_CHECK(pending() > 0);
  PORTCULLIS_TRY(const std::string line, receive());
  return parse_answer(line, ++taken_);
}

Result<Answer> Client::call(std::string_view method, json params) {
  PORTCULLIS_CHECK(pending() == 0);
  const int id = ++sent_;
  taken_ = id;  // Come what may, nobody waits for it any more.
  const auto sent = send(request_line(id, method, std::move(params)));
  // A daemon that refuses a message before its end says why, and that is still there to read.
  auto line = receive();
  if (!line) {
    return Failure(sent ? line.error() : sent.error());
  }
  return parse_answer(*line, id);
}

Result<DaemonVersion> Client::hello(std::string_view name) {
  PORTCULLIS_TRY(const Answer answer,
                 call("hello", {{"protocol", kProtocolVersion}, {"client", name}}));
  if (!answer) {
    const auto spoken = answer.error().details.find("supported");
    return fail(fmt::format("the daemon on {} does not speak protocol {}: {}{}",
                            socket_,
                            kProtocolVersion,
                            answer.error().message,
                            spoken == answer.error().details.end()
                                ? ""
                                : fmt::format("; it speaks {}", spoken->dump())));
  }
  const json& told = *answer;
  const auto protocol = told.find("protocol");
  if (protocol == told.end() || *protocol != kProtocolVersion || !told.contains("server") ||
      !told["server"].is_string() || !told.contains("version") || !told["version"].is_string()) {
    return fail(fmt::format("what listens on {} is no portcullisd: its hello is strange", socket_));
  }
  return DaemonVersion{.protocol = kProtocolVersion,
                       .server = told["server"].get<std::string>(),
                       .version = told["version"].get<std::string>()};
}

}  // namespace portcullis::control
