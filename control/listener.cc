// SPDX-License-Identifier: MIT
#include "control/listener.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

namespace portcullis::control {
namespace {

constexpr int kBacklog = 128;
/// What the socket's mode must not have, of 0777.
constexpr mode_t kForbiddenMode = 0117;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(fmt::format("socket path must have 1 to {} characters: choose another",
                            sizeof address.sun_path - 1),
                path);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Result<UniqueFd> lock_beside(const std::string& path) {
  const std::string name = path + ".lock";
  UniqueFd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) {
    return fail(fmt::format("cannot open the lock file: {}", std::strerror(errno)), name);
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail("another daemon runs with this socket: stop it, or choose another control.socket",
                path);
  }
  return lock;
}

/// Removes a socket file whose daemon is dead; leaves everything else alone.
Result<void> clear_stale(const std::string& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    return {};  // Nothing there, or bind() will say why not.
  }
  if (!S_ISSOCK(found.st_mode)) {
    return fail("exists and is not a socket: move it away, or choose another control.socket", path);
  }
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const bool refused =
      ::connect(probe.get(), generic, sizeof address) != 0 && errno == ECONNREFUSED;
  if (!refused) {
    return fail("something listens on this socket: stop it, or choose another control.socket",
                path);
  }
  if (::unlink(path.c_str()) != 0) {
    return fail(fmt::format("cannot remove a dead daemon's socket: {}", std::strerror(errno)),
                path);
  }
  return {};
}

}  // namespace

Result<Listener> Listener::open(const std::string& path) {
  PORTCULLIS_TRY(const sockaddr_un address, address_of(path));
  PORTCULLIS_TRY(UniqueFd lock, lock_beside(path));
  PORTCULLIS_TRY_VOID(clear_stale(path, address));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    return fail(fmt::format("cannot make a socket: {}", std::strerror(errno)), path);
  }
  // The mode is right from the file's first moment: chmod() afterwards would leave a gap.
  const mode_t former = ::umask(kForbiddenMode);
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int reason = errno;
  ::umask(former);
  if (bound != 0) {
    return fail(fmt::format("cannot bind the socket: {}", std::strerror(reason)), path);
  }
  Listener listener;
  listener.path_ = path;
  listener.lock_ = std::move(lock);
  listener.fd_ = std::move(fd);
  if (::listen(listener.fd(), kBacklog) != 0) {
    return fail(fmt::format("cannot listen: {}", std::strerror(errno)), path);
  }
  return listener;
}

Listener::~Listener() {
  if (fd_) {
    ::unlink(path_.c_str());
  }
}

}  // namespace portcullis::control
