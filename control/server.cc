// SPDX-License-Identifier: MIT
// A client is in one of four states, and in each but `working` it has a deadline:
//   idle      -> receiving   its first byte came                 (may be silent for a timeout)
//   receiving -> working     its newline came                    (from first byte to newline)
//   working   -> sending     the handler replied                 (no deadline: we are at work)
//   sending   -> idle        it has taken the whole answer       (from first byte to last)
// Input is read only while idle or receiving, so a client costs one message and one answer of
// memory at most, and its own kernel buffer stops it, nobody else.
#include "control/server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include <pwd.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/log.h"
#include "control/listener.h"

namespace portcullis::control {
namespace {

using Clock = std::chrono::steady_clock;

/// One read, and how many a client gets before the others have their turn.
constexpr std::size_t kReadBytes = std::size_t{64} << 10U;
constexpr int kReadsPerTurn = 4;
constexpr int kAcceptsPerTurn = 16;
/// Unfinished input up to this size is free; what is beyond it counts against the common budget
/// of this many whole messages.
constexpr std::size_t kFreeInputBytes = std::size_t{64} << 10U;
constexpr std::size_t kWholeMessagesBudget = 4;
constexpr std::chrono::milliseconds kSweepPeriod{100};

struct Client {
  enum class State : std::uint8_t { idle, receiving, working, sending };

  UniqueFd fd;
  Caller caller;
  State state = State::idle;
  std::string input;
  std::size_t scanned = 0;  // No newline ahead of this offset of input.
  std::string output;
  std::size_t sent = 0;
  Clock::time_point deadline;
  bool ended = false;        // It will send no more.
  bool close_after = false;  // Once its output is taken.
};

/// Of the process at the other end; only `first` where the kernel does not tell the others.
std::vector<gid_t> groups_of(int fd, gid_t first) {
  std::vector<gid_t> groups;
  socklen_t bytes = 0;
  // Without room it says how much it needs.
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, nullptr, &bytes) != 0 && errno == ERANGE) {
    groups.resize(bytes / sizeof(gid_t));
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) != 0) {
      groups.clear();
    }
  }
  groups.push_back(first);
  return groups;
}

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

std::string Caller::text() const {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return fmt::format("{} (uid {}, pid {})", entry.pw_name, uid, pid);
  }
  return fmt::format("uid {}, pid {}", uid, pid);
}

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(Loop& its_loop, ServerOptions its_options, Handler its_handler, Listener its_listener)
      : loop(its_loop),
        options(std::move(its_options)),
        handler(std::move(its_handler)),
        listener(std::move(its_listener)) {}

  Loop& loop;
  ServerOptions options;
  Handler handler;
  Listener listener;
  std::map<std::uint64_t, std::shared_ptr<Client>> clients;  // By a serial that never repeats.
  std::uint64_t next_serial = 0;
  bool listening = true;  // False: out of descriptors, waiting for the next sweep.
  Clock::time_point swept = Clock::now();

  Result<void> begin();
  void accept_clients();
  void admit(UniqueFd fd);
  void on_event(std::uint64_t serial, std::uint32_t events);
  void fill(std::uint64_t serial, Client& client);
  bool bounded(std::uint64_t serial, Client& client);
  void advance(std::uint64_t serial);
  bool next_line(Client& client, std::string& line);
  void reply(std::uint64_t serial, std::string line);
  void refuse(std::uint64_t serial, Client& client, RpcCode code, std::string message);
  void flush(std::uint64_t serial, Client& client);
  void enter(Client& client, Client::State state);
  void drop(std::uint64_t serial);
  void sweep();
};

Result<void> Server::State::begin() {
  PORTCULLIS_TRY_VOID(
      loop.watch(listener.fd(), EPOLLIN, [this](std::uint32_t) { accept_clients(); }));
  const std::weak_ptr<State> weak = weak_from_this();
  return loop.every(kSweepPeriod, [weak] {
    if (const auto self = weak.lock()) {
      self->sweep();
    }
  });
}

void Server::State::accept_clients() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd fd(::accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      admit(std::move(fd));
      continue;
    }
    if (!would_block() && errno != ECONNABORTED) {
      // Out of descriptors or memory: the listener would stay ready and we would spin.
      log::warn("control: cannot accept a client: {}", std::strerror(errno));
      loop.change(listener.fd(), 0);
      listening = false;
    }
    return;
  }
}

void Server::State::admit(UniqueFd fd) {
  if (clients.size() >= options.clients_max) {
    const std::string line =
        error_line(nullptr,
                   {.code = RpcCode::busy,
                    .message = fmt::format("{} clients are connected already: close one, "
                                           "or raise control.clients_max",
                                           options.clients_max)}) +
        "\n";
    ::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return;
  }
  const std::uint64_t serial = ++next_serial;
  auto client = std::make_shared<Client>();
  client->caller = {.uid = peer.uid, .groups = groups_of(fd.get(), peer.gid), .pid = peer.pid};
  client->deadline = Clock::now() + options.client_timeout;
  const auto watched = loop.watch(
      fd.get(), EPOLLIN, [this, serial](std::uint32_t events) { on_event(serial, events); });
  if (!watched) {
    log::warn("control: {}", to_string(watched.error()));
    return;
  }
  client->fd = std::move(fd);
  clients.emplace(serial, std::move(client));
}

void Server::State::on_event(std::uint64_t serial, std::uint32_t events) {
  const auto found = clients.find(serial);
  if (found == clients.end()) {
    return;
  }
  const std::shared_ptr<Client> client = found->second;  // Outlives a drop() below.
  const bool reads =
      client->state == Client::State::idle || client->state == Client::State::receiving;
  if (reads && (events & (EPOLLIN | EPOLLHUP)) != 0) {
    fill(serial, *client);  // What a client sent before it hung up still counts.
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    drop(serial);  // Nobody is left to take an answer.
  } else if ((events & EPOLLOUT) != 0) {
    flush(serial, *client);
  }
}

void Server::State::fill(std::uint64_t serial, Client& client) {
  std::array<char, kReadBytes> chunk;  // NOLINT: 64 KiB need no zeroing.
  for (int i = 0; i < kReadsPerTurn && !client.ended; ++i) {
    const ssize_t got = ::recv(client.fd.get(), chunk.data(), chunk.size(), 0);
    if (got > 0) {
      client.input.append(chunk.data(), static_cast<std::size_t>(got));
      if (client.state == Client::State::idle) {
        enter(client, Client::State::receiving);
      }
      if (!bounded(serial, client)) {
        return;
      }
      if (static_cast<std::size_t>(got) < chunk.size()) {
        break;
      }
    } else if (got < 0 && would_block()) {
      break;
    } else if (got < 0) {
      drop(serial);
      return;
    } else {
      client.ended = true;
    }
  }
  advance(serial);
}

/// Holds a client's unfinished message to its own bound and to that of all clients together.
bool Server::State::bounded(std::uint64_t serial, Client& client) {
  if (client.input.size() <= kFreeInputBytes) {
    return true;
  }
  if (client.input.size() > options.message_bytes_max &&
      client.input.find('\n', client.scanned) > options.message_bytes_max) {
    refuse(serial,
           client,
           RpcCode::invalid_request,
           fmt::format("message is larger than {} bytes: send less, or raise "
                       "control.message_mb_max",
                       options.message_bytes_max));
    return false;
  }
  std::size_t held = 0;
  for (const auto& [other_serial, other] : clients) {
    held += other->input.size() > kFreeInputBytes ? other->input.size() : 0;
  }
  if (held > kWholeMessagesBudget * options.message_bytes_max) {
    refuse(serial,
           client,
           RpcCode::busy,
           "other clients are sending large messages: try again when they are done");
    return false;
  }
  return true;
}

bool Server::State::next_line(Client& client, std::string& line) {
  std::string& input = client.input;
  std::size_t begin = 0;  // Of a line; erased once, however many blank lines there are.
  std::size_t end = input.find('\n', client.scanned);
  while (end != std::string::npos && is_blank(std::string_view(input).substr(begin, end - begin))) {
    begin = end + 1;
    end = input.find('\n', begin);
  }
  input.erase(0, begin);
  client.scanned = 0;
  // A last line may lack its newline when the client has closed its side.
  if (end == std::string::npos && (!client.ended || is_blank(input))) {
    client.scanned = input.size();
    return false;
  }
  const std::size_t length = std::min(end - begin, input.size());
  std::string rest = end == std::string::npos ? std::string() : input.substr(length + 1);
  line = std::exchange(input, std::move(rest));
  line.resize(length);
  return true;
}

/// Hands over the next message, if a whole one is there.
void Server::State::advance(std::uint64_t serial) {
  const auto found = clients.find(serial);
  if (found == clients.end()) {
    return;
  }
  const std::shared_ptr<Client> client = found->second;
  if (client->state == Client::State::working || client->state == Client::State::sending) {
    return;
  }
  std::string line;
  if (!next_line(*client, line)) {
    if (client->ended) {
      drop(serial);
    } else if (client->input.empty() && client->state == Client::State::receiving) {
      enter(*client, Client::State::idle);
    }
    return;
  }
  enter(*client, Client::State::working);
  handler(client->caller, std::move(line), [weak = weak_from_this(), serial](std::string answer) {
    if (const auto self = weak.lock()) {
      self->reply(serial, std::move(answer));
    }
  });
}

void Server::State::reply(std::uint64_t serial, std::string line) {
  const auto found = clients.find(serial);
  if (found == clients.end() || found->second->state != Client::State::working) {
    return;
  }
  const std::shared_ptr<Client> client = found->second;
  client->output = std::move(line);
  client->sent = 0;
  if (!client->output.empty()) {
    client->output += '\n';
  }
  enter(*client, Client::State::sending);
  flush(serial, *client);
}

/// Answers out of turn and closes: the rest of its input cannot be understood.
void Server::State::refuse(std::uint64_t serial,
                           Client& client,
                           RpcCode code,
                           std::string message) {
  client.input = {};
  client.close_after = true;
  client.output = error_line(nullptr, {.code = code, .message = std::move(message)}) + "\n";
  client.sent = 0;
  enter(client, Client::State::sending);
  flush(serial, client);
}

void Server::State::flush(std::uint64_t serial, Client& client) {
  while (client.sent < client.output.size()) {
    const ssize_t put = ::send(client.fd.get(),
                               client.output.data() + client.sent,
                               client.output.size() - client.sent,
                               MSG_NOSIGNAL);
    if (put < 0 && would_block()) {
      return;  // EPOLLOUT calls again.
    }
    if (put < 0) {
      drop(serial);
      return;
    }
    client.sent += static_cast<std::size_t>(put);
  }
  client.output = {};
  if (client.close_after) {
    drop(serial);
    return;
  }
  enter(client, client.input.empty() ? Client::State::idle : Client::State::receiving);
  if (!client.input.empty() || client.ended) {
    // Its next message waits its turn behind the other clients' events.
    loop.post([weak = weak_from_this(), serial] {
      if (const auto self = weak.lock()) {
        self->advance(serial);
      }
    });
  }
}

void Server::State::enter(Client& client, Client::State state) {
  using enum Client::State;
  client.state = state;
  client.deadline =
      state == working ? Clock::time_point::max() : Clock::now() + options.client_timeout;
  const bool reads = (state == idle || state == receiving) && !client.ended;
  loop.change(client.fd.get(), state == sending ? EPOLLOUT : reads ? EPOLLIN : 0U);
}

void Server::State::drop(std::uint64_t serial) {
  const auto found = clients.find(serial);
  if (found == clients.end()) {
    return;
  }
  loop.forget(found->second->fd.get());
  found->second->fd.reset();
  clients.erase(found);
}

void Server::State::sweep() {
  if (!listening) {
    listening = true;
    loop.change(listener.fd(), EPOLLIN);
  }
  const Clock::time_point now = Clock::now();
  // What came while this thread was away is not read yet: that time is not the clients'.
  if (const auto away = now - swept - kSweepPeriod; away > kSweepPeriod) {
    for (const auto& [serial, client] : clients) {
      client->deadline += client->state == Client::State::working ? Clock::duration(0) : away;
    }
  }
  swept = now;
  std::vector<std::uint64_t> late;
  for (const auto& [serial, client] : clients) {
    if (client->deadline <= now) {
      late.push_back(serial);
    }
  }
  for (const std::uint64_t serial : late) {
    const std::shared_ptr<Client> client = clients.at(serial);
    if (client->state == Client::State::receiving) {
      refuse(
          serial,
          *client,
          RpcCode::timed_out,
          fmt::format("message did not become complete in {} ms", options.client_timeout.count()));
    } else {
      drop(serial);
    }
  }
}

Result<std::unique_ptr<Server>> Server::open(Loop& loop, ServerOptions options, Handler handler) {
  PORTCULLIS_TRY(Listener listener, Listener::open(options.socket));
  auto state =
      std::make_shared<State>(loop, std::move(options), std::move(handler), std::move(listener));
  PORTCULLIS_TRY_VOID(state->begin());
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::shared_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() {
  state_->loop.forget(state_->listener.fd());
  while (!state_->clients.empty()) {
    state_->drop(state_->clients.begin()->first);
  }
}

std::size_t Server::clients() const {
  return state_->clients.size();
}

}  // namespace portcullis::control
