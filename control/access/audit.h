// SPDX-License-Identifier: MIT
// Audit: one line of JSON for each call that changes something, and for each that was not allowed.
// Thread: the control thread.
#pragma once

#include <string>

#include "base/file.h"
#include "base/result.h"

namespace portcullis::control {

/// One call and what came of it.
struct AuditEntry {
  std::string who;
  std::string what;  // The method, or "SIGHUP", "undo".
  std::string digest_before;
  std::string digest_after;
  std::string error;    // Empty: done.
  std::string comment;  // Why, as the caller said.
};

class Audit {
 public:
  /// Keeps nothing.
  Audit() = default;
  /// Appends to the file, which is made with mode 0640. Errors: it cannot be opened.
  static Result<Audit> open(const std::string& path);

  /// Whole lines only. Where the disk takes none, the log says so, with the line.
  void record(const AuditEntry& entry);

 private:
  std::string path_;
  UniqueFd file_;
};

}  // namespace portcullis::control
