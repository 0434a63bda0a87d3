// SPDX-License-Identifier: MIT
#include "control/client/await_revision.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "control/client.h"

namespace portcullis::control {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{20};
constexpr milliseconds kLongestPause{1000};
/// What a question is given at the least, so that the last one is answered, too.
constexpr milliseconds kPatience{500};

/// What one question brought.
struct Reading {
  Result<std::uint64_t> running;
  bool is_final = false;  // An error that time does not mend.
};

/// Asks for the history: unlike a status it costs the daemon little, whatever it enforces.
Reading read_running(const std::string& socket, milliseconds timeout) {
  auto client = Client::connect(socket, timeout);
  if (!client) {
    return {.running = Failure(client.error())};
  }
  const auto answer = client->call("history", nlohmann::json::object());
  if (!answer) {
    return {.running = Failure(answer.error())};
  }
  if (!*answer) {
    const RpcError& error = answer->error();
    return {.running = fail(error.message), .is_final = error.code != RpcCode::busy};
  }
  try {
    const nlohmann::json& revisions = (*answer)->at("revisions");
    return {.running = revisions.empty() ? 0 : revisions.at(0).at("revision").get<std::uint64_t>()};
  } catch (const nlohmann::json::exception& error) {
    return {.running = fail(fmt::format("strange answer: {}", error.what())), .is_final = true};
  }
}

}  // namespace

Result<std::uint64_t> await_revision(const std::string& socket,
                                     std::uint64_t revision,
                                     milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  const auto left = [deadline] { return std::chrono::ceil<milliseconds>(deadline - Clock::now()); };
  milliseconds pause = kFirstPause;
  while (true) {
    const Reading reading = read_running(socket, std::max(left(), kPatience));
    const bool reached = reading.running && *reading.running >= revision;
    const milliseconds rest = left();
    if (reached || reading.is_final || rest <= milliseconds(0)) {
      return reading.running;
    }
    std::this_thread::sleep_for(std::min(pause, rest));
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace portcullis::control
