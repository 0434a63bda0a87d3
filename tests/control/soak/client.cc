// SPDX-License-Identifier: MIT
// A client of the soak, a process of its own so that it may be killed at any moment:
//   soak_client SOCKET SEED changes CLIENTS BYTES MS     changes, questions, at random, for ever
//   soak_client SOCKET SEED garbage CLIENTS BYTES MS     garbage
// CLIENTS, BYTES and MS are the server's bounds on clients, their messages and their silence.
// Ends only where something is wrong, and says what: exit status 1.
#include "control/client.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/prctl.h>

#include <fmt/format.h>

#include "tests/control/soak/cluster.h"
#include "tests/control/soak/garbage.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

/// Longer than any queue of changes, on any machine.
constexpr std::chrono::seconds kPatience{120};
constexpr std::uint64_t kPauseMaxMs = 100;

/// What a right request may be told, when others change the same things.
const std::set<RpcCode> kFair{RpcCode::rejected,
                              RpcCode::unknown_revision,
                              RpcCode::on_trial,
                              RpcCode::no_trial,
                              RpcCode::busy};

int wrong(const std::string& what) {
  fmt::print(stderr, "soak_client: {}\n", what);
  return 1;
}

json manifests(const std::string& text) {
  return json::array({{{"name", "soak.json"}, {"text", text}}});
}

/// One who changes things, or asks.
class Changer {
 public:
  Changer(const ServerOptions& options, std::uint64_t seed)
      : socket_(options.socket), silence_max_(options.client_timeout / 2), random_(seed) {}

  int run() {
    while (true) {
      auto client = Client::connect(socket_, kPatience);
      if (!client) {
        return wrong(client.error().message);
      }
      const std::string trouble = converse(*client);
      if (!trouble.empty()) {
        return wrong(trouble);
      }
    }
  }

 private:
  struct Wish {
    const char* method;
    json params = json::object();
  };

  [[nodiscard]] bool one_in(std::uint64_t n) { return random_() % n == 0; }
  void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(random_() % kPauseMaxMs)); }

  /// Some requests on one connection, now and then several ahead of their answers. Returns what was
  /// wrong.
  std::string converse(Client& client) {
    for (int turn = 0; turn < 50; ++turn) {
      const auto begin = std::chrono::steady_clock::now();
      pause();
      for (std::uint64_t i = one_in(5) ? 3 : 1; i > 0; --i) {
        Wish wish = any_wish();
        if (const auto sent = client.submit(wish.method, std::move(wish.params)); !sent) {
          break;  // The answer tells.
        }
      }
      // On a machine that had no time for it.
      const bool was_silent = std::chrono::steady_clock::now() - begin > silence_max_;
      while (client.pending() > 0) {
        const auto answer = client.take();
        if (!answer && was_silent) {
          return {};  // It is dropped for that.
        }
        if (!answer) {
          return answer.error().message;
        }
        if (!*answer && !kFair.contains(answer->error().code)) {
          return fmt::format(
              "{}: {}", static_cast<int>(answer->error().code), answer->error().message);
        }
        if (!*answer && answer->error().code == RpcCode::busy) {
          pause();
          return {};  // It hangs up after that.
        }
        if (*answer && (*answer)->contains("revision")) {
          newest_ = (**answer)["revision"].get<std::uint64_t>();
        }
      }
    }
    return {};
  }

  Wish any_wish() {
    const std::uint64_t choice = random_() % 100;
    if (choice < 50) {
      return {"edit", {{"steps", pod_steps()}, {"comment", "pods"}}};
    }
    if (choice < 65) {
      return {"edit", {{"steps", json::array({policy_step()})}, {"comment", "policies"}}};
    }
    if (choice < 75) {
      return {"commit", {{"manifests", manifests(any_cluster(random_))}, {"comment", "commit"}}};
    }
    if (choice < 84) {
      return rollback();
    }
    if (choice < 85) {
      return {
          "commit",
          {{"manifests", manifests(any_cluster(random_))}, {"comment", "trial"}, {"confirm_s", 1}}};
    }
    return choice < 87 ? Wish{"confirm"} : any_question();
  }

  json pod_steps() {
    json steps = json::array();
    for (std::uint64_t i = 0; i <= random_() % 3; ++i) {
      const std::size_t pod = random_() % kPods;
      if (one_in(4)) {
        steps.push_back({{"do", "pod.remove"}, {"names", json::array({pod_name(pod)})}});
      } else {
        steps.push_back({{"do", one_in(4) ? "pod.add" : "pod.set"},
                         {"manifests", manifests(text_of(json::array({any_pod(pod, random_)})))}});
      }
    }
    return steps;
  }

  json policy_step() {
    const std::size_t policy = random_() % kPolicies;
    if (one_in(3)) {
      return {{"do", "policy.remove"}, {"names", json::array({policy_name(policy)})}};
    }
    return {{"do", "policy.set"},
            {"manifests", manifests(text_of(json::array({any_policy(policy, random_)})))}};
  }

  /// To the one before, or to one of the last revisions, if it is there still.
  Wish rollback() {
    json params = {{"comment", "rollback"}};
    if (one_in(2)) {
      params["revision"] = newest_ - std::min(newest_, random_() % 20);
    }
    return {"rollback", std::move(params)};
  }

  Wish any_question() {
    switch (random_() % 6) {
      case 0:
        return {"status"};
      case 1:
        return {"history"};
      case 2:
        return {"plan", {{"manifests", manifests(any_cluster(random_))}}};
      case 3:
        return {"explain", {{"from", address_v4(0, false)}, {"to", "192.0.2.7"}, {"port", 80}}};
      case 4:
        return {"conntrack.flush", {{"all", true}}};
      default:
        return {"diff"};
    }
  }

  const std::string socket_;
  const std::chrono::milliseconds silence_max_;
  Random random_;
  std::uint64_t newest_ = 0;  // Revision that it was told of.
};

int send_garbage(const ServerOptions& options, std::uint64_t seed) {
  Random random(seed);
  while (true) {
    const Garbage& one = garbage()[random() % garbage().size()];
    const Ending ending = one.send(options, random);
    // Where a crowd was here first, or a trial is under way, it is refused like everybody.
    if (ending != one.documented && ending.code != RpcCode::busy &&
        ending.code != RpcCode::on_trial) {
      return wrong(fmt::format(
          "{}: {} instead of {}", one.name, to_string(ending), to_string(one.documented)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % kPauseMaxMs));
  }
}

int run(const std::vector<std::string>& words) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // No client outlives its test.
  const std::uint64_t seed = std::stoull(words.at(2));
  const ServerOptions options{
      .socket = words.at(1),
      .clients_max = std::stoull(words.at(4)),
      .message_bytes_max = std::stoull(words.at(5)),
      .client_timeout = std::chrono::milliseconds(std::stoull(words.at(6)))};
  return words.at(3) == "changes" ? Changer(options, seed).run() : send_garbage(options, seed);
}

}  // namespace
}  // namespace portcullis::control

int main(int argc, char** argv) {
  return portcullis::control::run({argv, std::next(argv, argc)});
}
