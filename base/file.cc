// SPDX-License-Identifier: MIT
#include "base/file.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace portcullis {

UniqueFd::~UniqueFd() {
  reset();
}

void UniqueFd::reset() {
  if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
  }
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max) {
  const bool standard_input = path == "-";
  const UniqueFd owned(standard_input ? -1 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int fd = standard_input ? STDIN_FILENO : owned.get();
  if (fd < 0) {
    return fail(fmt::format("cannot open: {}", std::strerror(errno)), path.string());
  }
  std::string text;
  std::array<char, 65536> chunk{};
  while (true) {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return fail(fmt::format("cannot read: {}", std::strerror(errno)), path.string());
    }
    if (got == 0) {
      return text;
    }
    if (text.size() + static_cast<std::size_t>(got) > bytes_max) {
      return fail(fmt::format("larger than the limit of {} bytes", bytes_max), path.string());
    }
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace portcullis
