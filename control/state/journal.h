// SPDX-License-Identifier: MIT
// Journal: an append-only file of JSON records, each on the disk before append() returns.
// Thread: one at a time. Owner: one process; who opens it sees to that.
//
//   CHECKSUM SP {"journal":1} LF    the first 16 hexadecimal digits of the JSON's SHA-256
//   CHECKSUM SP JSON LF             a record
//   ...
//
// A line that is torn or does not match its checksum counts as damage and is left out; the lines
// around it stand for themselves.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/result.h"

namespace portcullis::control {

/// What a journal says.
struct JournalText {
  std::vector<nlohmann::json> records;  // Objects, in their order.
  std::vector<std::size_t> damaged;     // Lines, from 1.
};

/// Reads a journal's bytes. Errors: it is of a version that is not known here.
/// Thread: pure function.
Result<JournalText> parse_journal(std::string_view text);

class Journal {
 public:
  /// Makes the file with these records and nothing else, in place of one that may be there: after
  /// a crash it is either. Errors: as append().
  static Result<Journal> create(const std::string& path, std::span<const nlohmann::json> records);

  /// Errors: the disk is full or fails; the file is as before then.
  Result<void> append(const nlohmann::json& record);
  /// Takes the last append() back. Errors: the disk fails.
  Result<void> take_back();

 private:
  Journal(std::string path, UniqueFd file, std::size_t bytes);
  Result<void> cut(std::size_t bytes);

  std::string path_;
  UniqueFd file_;
  std::size_t bytes_ = 0;
  std::size_t bytes_before_ = 0;  // Ahead of the last record.
};

/// Puts a whole file on the disk: after a crash it has these bytes, or is as before.
/// Errors: the disk is full or fails.
Result<void> write_durably(const std::string& path, std::string_view bytes);

}  // namespace portcullis::control
