// SPDX-License-Identifier: MIT
#include "tests/control/soak/garbage.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <fmt/format.h>

#include "base/file.h"

namespace portcullis::control {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

/// A connection of someone who keeps no rules: nothing is read but on demand.
class Stranger {
 public:
  explicit Stranger(const ServerOptions& options)
      : patience_(4 * options.client_timeout),
        fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, options.socket.c_str(), sizeof address.sun_path - 1);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      fd_.reset();
    }
  }

  /// False: the server took no more.
  bool put(std::string_view bytes) {
    const Clock::time_point deadline = Clock::now() + patience_;
    while (!bytes.empty() && Clock::now() < deadline) {
      const ssize_t sent =
          ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno != EAGAIN && errno != EINTR) {
        return false;
      } else {
        wait_for(POLLOUT, deadline);
      }
    }
    return bytes.empty();
  }

  /// The next line; nothing: the connection ended, or none came in time.
  std::optional<std::string> line() {
    const Clock::time_point deadline = Clock::now() + patience_;
    while (Clock::now() < deadline) {
      if (const std::size_t end = input_.find('\n'); end != std::string::npos) {
        std::string line = input_.substr(0, end);
        input_.erase(0, end + 1);
        return line;
      }
      std::array<char, 65536> chunk;  // NOLINT: it needs no zeroing.
      const ssize_t got = ::recv(fd_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
      if (got > 0) {
        input_.append(chunk.data(), static_cast<std::size_t>(got));
      } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        is_over_ = true;
        return std::nullopt;
      } else {
        wait_for(POLLIN, deadline);
      }
    }
    return std::nullopt;
  }

  /// Reads to the last error, and says how it stands with the connection.
  Ending ending() {
    Ending ending;
    bool is_served = false;
    put(request_line(7, "hello", json::object()) + "\n");
    while (!is_served) {
      const std::optional<std::string> said = line();
      if (!said) {
        break;
      }
      const json answer = json::parse(*said, nullptr, false);
      if (answer.is_object() && answer.contains("error")) {
        ending.code = RpcCode{answer["error"]["code"].get<int>()};
      }
      is_served = answer.is_object() && answer.contains("result") && answer["id"] == 7;
    }
    ending.is_cut_off = is_over_;
    return ending;
  }

 private:
  void wait_for(short events, Clock::time_point deadline) const {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd watched{.fd = fd_.get(), .events = events, .revents = 0};
    ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
  }

  const std::chrono::milliseconds patience_;
  UniqueFd fd_;
  std::string input_;
  bool is_over_ = false;
};

std::string some(std::size_t bytes, std::mt19937_64& random) {
  std::string made(bytes, '\0');
  for (char& one : made) {
    one = static_cast<char>(random());
  }
  return made;
}

/// More than a message may have, and no end.
Ending huge(const ServerOptions& options, std::mt19937_64& /*random*/) {
  Stranger stranger(options);
  const std::string much(std::size_t{64} << 10U, 'x');
  for (std::size_t sent = 0; sent <= options.message_bytes_max + much.size(); sent += much.size()) {
    stranger.put(much);
  }
  return stranger.ending();
}

/// Arrays in arrays.
Ending deep(const ServerOptions& options, std::mt19937_64& random) {
  Stranger stranger(options);
  const std::size_t depth = kMessageDepthMax + 1 + random() % 10'000;
  stranger.put(
      fmt::format(R"({{"jsonrpc":"2.0","id":1,"method":"commit","params":{{"manifests":{}{}}}}})"
                  "\n",
                  std::string(depth, '['),
                  std::string(depth, ']')));
  return stranger.ending();
}

/// Very many values in few bytes.
Ending wide(const ServerOptions& options, std::mt19937_64& /*random*/) {
  Stranger stranger(options);
  std::string values;
  for (std::size_t i = 0; i < kMessageValuesMax; ++i) {
    values += "1,";
  }
  stranger.put(
      fmt::format(R"({{"jsonrpc":"2.0","id":1,"method":"commit","params":{{"manifests":[{}1]}}}})"
                  "\n",
                  values));
  return stranger.ending();
}

Ending binary(const ServerOptions& options, std::mt19937_64& random) {
  Stranger stranger(options);
  for (int i = 0; i < 20; ++i) {
    stranger.put(some(1 + random() % 5'000, random));
  }
  stranger.put("\xff\n");
  return stranger.ending();
}

/// JSON, but none of ours.
Ending wrong(const ServerOptions& options, std::mt19937_64& /*random*/) {
  Stranger stranger(options);
  stranger.put("7\n\"commit\"\n{}\nnull\n");
  stranger.put(R"({"jsonrpc":"2.0","id":1,"method":"dance"})"
               "\n");
  stranger.put(R"({"jsonrpc":"2.0","id":1,"method":"rollback","params":{"revision":-1}})"
               "\n");
  stranger.put(R"([{"jsonrpc":"2.0","id":1,"method":"rollback"}])"
               "\n");
  return stranger.ending();
}

/// Half a change, and then nothing.
Ending half(const ServerOptions& options, std::mt19937_64& random) {
  Stranger stranger(options);
  const std::string whole = request_line(1, "rollback", {{"comment", std::string(2'000, 'x')}});
  stranger.put(std::string_view(whole).substr(0, 1 + random() % (whole.size() - 1)));
  std::this_thread::sleep_for(3 * options.client_timeout / 2);
  return stranger.ending();
}

/// A change byte by byte, for ever.
Ending slow(const ServerOptions& options, std::mt19937_64& /*random*/) {
  Stranger stranger(options);
  const Clock::time_point end = Clock::now() + 4 * options.client_timeout;
  while (Clock::now() < end && stranger.put("{")) {
    std::this_thread::sleep_for(options.client_timeout / 20);
  }
  return stranger.ending();
}

/// Questions without end, from one who does not listen to the answers.
Ending flood(const ServerOptions& options, std::mt19937_64& /*random*/) {
  Stranger stranger(options);
  std::string many;
  for (int i = 0; i < 1'000; ++i) {
    many += request_line(1, "status", json::object()) + "\n";
  }
  while (stranger.put(many)) {
  }
  return stranger.ending();
}

/// More connections than are to be had.
Ending crowd(const ServerOptions& options, std::mt19937_64& /*random*/) {
  std::vector<Stranger> strangers;
  strangers.reserve(options.clients_max + 1);
  for (std::size_t i = 0; i <= options.clients_max; ++i) {
    strangers.emplace_back(options);
  }
  return strangers.back().ending();
}

/// A change that is small, and unfolds to billions of values.
Ending bomb(const ServerOptions& options, std::mt19937_64& /*random*/) {
  Stranger stranger(options);
  std::string text = "a0: &a0 x\n";
  for (int level = 1; level < 12; ++level) {
    text += fmt::format("a{0}: &a{0} [", level);
    for (int i = 0; i < 9; ++i) {
      text += fmt::format("*a{},", level - 1);
    }
    text += "x]\n";
  }
  const json manifest = {{"name", "bomb.yaml"}, {"text", text}};
  stranger.put(request_line(1, "commit", {{"manifests", json::array({manifest})}}) + "\n");
  return stranger.ending();
}

constexpr std::array<Garbage, 10> kGarbage{{
    {"huge", {RpcCode::invalid_request, true}, huge},
    {"deep", {RpcCode::parse_error, false}, deep},
    {"wide", {RpcCode::parse_error, false}, wide},
    {"binary", {RpcCode::parse_error, false}, binary},
    {"wrong", {RpcCode::invalid_request, false}, wrong},
    {"half", {RpcCode::timed_out, true}, half},
    {"slow", {RpcCode::timed_out, true}, slow},
    {"flood", {std::nullopt, true}, flood},
    {"bomb", {RpcCode::rejected, false}, bomb},
    // Last: who comes while it goes may still be turned away.
    {"crowd", {RpcCode::busy, true}, crowd},
}};

}  // namespace

std::string to_string(const Ending& ending) {
  return fmt::format("{}, {}",
                     ending.code ? fmt::format("{}", static_cast<int>(*ending.code)) : "no error",
                     ending.is_cut_off ? "cut off" : "served further");
}

std::span<const Garbage> garbage() {
  return kGarbage;
}

}  // namespace portcullis::control
