// SPDX-License-Identifier: MIT
#include "control/access/audit.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/time_text.h"

namespace portcullis::control {
namespace {

constexpr mode_t kMode = 0640;

}  // namespace

Result<Audit> Audit::open(const std::string& path) {
  Audit audit;
  audit.path_ = path;
  audit.file_ = UniqueFd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, kMode));
  if (!audit.file_) {
    return fail(fmt::format("control.audit_log: cannot append to it: {}", std::strerror(errno)),
                path);
  }
  return audit;
}

void Audit::record(const AuditEntry& entry) {
  if (!file_) {
    return;
  }
  nlohmann::ordered_json line = {{"time", time_text(std::chrono::system_clock::now())},
                                 {"who", entry.who},
                                 {"what", entry.what},
                                 {"result", entry.error.empty() ? "done" : "refused"},
                                 {"digest_before", entry.digest_before},
                                 {"digest_after", entry.digest_after}};
  if (!entry.error.empty()) {
    line["error"] = entry.error;
  }
  if (!entry.comment.empty()) {
    line["comment"] = entry.comment;
  }
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  // One write a line: with O_APPEND lines stay whole, also where two daemons share a file.
  const ssize_t put = ::write(file_.get(), text.data(), text.size());
  if (put != static_cast<ssize_t>(text.size())) {
    log::error("control: cannot write to {} ({}): {}",
               path_,
               put < 0 ? std::strerror(errno) : "the disk is full",
               text.substr(0, text.size() - 1));
  }
}

}  // namespace portcullis::control
