// SPDX-License-Identifier: MIT
#include "control/state/journal.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/digest.h"
#include "control/protocol.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::size_t kChecksumDigits = 16;
constexpr mode_t kMode = 0600;

std::string checksum(std::string_view text) {
  return Digest().add(text).finish().substr(0, kChecksumDigits);
}

std::string line_of(const json& record) {
  const std::string text = record.dump(-1, ' ', false, json::error_handler_t::replace);
  return fmt::format("{} {}\n", checksum(text), text);
}

/// Nothing where the line is damaged.
json record_of(std::string_view line) {
  if (line.size() <= kChecksumDigits || line[kChecksumDigits] != ' ') {
    return {};
  }
  const std::string_view text = line.substr(kChecksumDigits + 1);
  if (checksum(text) != line.substr(0, kChecksumDigits)) {
    return {};
  }
  Result<json> record = parse_bounded(text);
  return record && record->is_object() ? *std::move(record) : json();
}

Failure failed(const char* what, const std::string& path) {
  return fail(fmt::format("cannot {}: {}", what, std::strerror(errno)), path);
}

Result<void> write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) {
      continue;
    }
    if (put <= 0) {
      return failed("write", path);
    }
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

/// A new name in a folder is on the disk once the folder is.
Result<void> sync_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) {
    return failed("write the folder to the disk", folder);
  }
  return {};
}

}  // namespace

Result<void> write_durably(const std::string& path, std::string_view bytes) {
  const std::string draft = path + ".new";
  const UniqueFd file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode));
  if (!file) {
    return failed("make the file", draft);
  }
  Result<void> written = write_all(file.get(), bytes, draft);
  if (written && ::fsync(file.get()) != 0) {
    written = failed("write to the disk", draft);
  }
  if (written && ::rename(draft.c_str(), path.c_str()) != 0) {
    written = failed("rename the file", draft);
  }
  if (!written) {
    ::unlink(draft.c_str());
    return written;
  }
  return sync_folder_of(path);
}

Result<JournalText> parse_journal(std::string_view text) {
  JournalText read;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    json record = end == std::string_view::npos ? json() : record_of(text.substr(0, end));
    if (record.is_null()) {
      read.damaged.push_back(number);
    } else if (const auto version = record.find("journal"); version == record.end()) {
      read.records.push_back(std::move(record));
    } else if (*version != kVersion) {
      return fail(fmt::format("is a journal of version {}: this Portcullis knows version {}",
                              version->dump(),
                              kVersion));
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return read;
}

Journal::Journal(std::string path, UniqueFd file, std::size_t bytes)
    : path_(std::move(path)), file_(std::move(file)), bytes_(bytes), bytes_before_(bytes) {}

Result<Journal> Journal::create(const std::string& path, std::span<const json> records) {
  std::string text = line_of({{"journal", kVersion}});
  for (const json& record : records) {
    text += line_of(record);
  }
  PORTCULLIS_TRY_VOID(write_durably(path, text));
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file) {
    return failed("append to the file", path);
  }
  return Journal(path, std::move(file), text.size());
}

Result<void> Journal::append(const json& record) {
  const std::string line = line_of(record);
  Result<void> written = write_all(file_.get(), line, path_);
  if (written && ::fdatasync(file_.get()) != 0) {
    written = failed("write to the disk", path_);
  }
  if (!written) {
    // Half a line would be damage; that of a disk that fails here, too, is left out when read.
    static_cast<void>(cut(bytes_));
    return written;
  }
  bytes_before_ = std::exchange(bytes_, bytes_ + line.size());
  return {};
}

Result<void> Journal::take_back() {
  return cut(bytes_before_);
}

Result<void> Journal::cut(std::size_t bytes) {
  if (::ftruncate(file_.get(), static_cast<off_t>(bytes)) != 0 || ::fdatasync(file_.get()) != 0) {
    return failed("cut the last record off", path_);
  }
  bytes_ = bytes;
  return {};
}

}  // namespace portcullis::control
