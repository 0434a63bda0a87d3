// SPDX-License-Identifier: MIT
// Archive: what the daemon keeps on disk, so that a restart goes on where it was: the history in a
// journal, and beside it the manifests of each revision, named by the digest of their bytes.
// Thread: one at a time. Owner: one process; a second one that opens the folder is refused.
//
//   FOLDER/lock                  held while the daemon runs
//   FOLDER/journal               revisions and their confirmations (journal.h, record.h)
//   FOLDER/journal.damaged       the journal as it was found, where a line of it was no good
//   FOLDER/contents/DIGEST.json  {"manifests": [{"name": ..., "text": ...}, ...]}, and where single
//                                objects changed since: "batches": [[STEP, ...], ...]
//
// Invariants:
//   1. A revision in the journal has its content on the disk: that goes first.
//   2. A content file is never changed, and goes only after no revision names it.
//   3. A batch of steps is in the record of its revision, which goes on from the record before it,
//      until the journal is written anew without that: then it is in a content file.
//   4. The newest revision that is not on trial stays, however many came after it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "control/state/journal.h"
#include "control/state/record.h"
#include "policy/edit.h"
#include "policy/snapshot.h"

namespace portcullis::control {

class Archive {
 public:
  /// Opens a folder, or makes it. Damage is told to the log, and what is left of the journal is
  /// written anew.
  /// Errors: no folder can be made or written there, another process has it, the journal is of
  /// another version, or nothing of it is left.
  static Result<Archive> open(const std::string& folder, std::size_t revisions_max);

  /// Oldest first.
  [[nodiscard]] const std::vector<KeptRevision>& revisions() const { return revisions_; }
  /// Greater than that of any revision there was.
  [[nodiscard]] std::uint64_t next_number() const { return next_number_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }

  /// What a revision came from.
  struct Content {
    std::vector<policy::Manifest> manifests;
    std::vector<policy::Step> steps;
  };
  /// Keeps a content and names it. Errors: the disk is full or fails.
  Result<std::string> store(std::span<const policy::Manifest> manifests) const;
  /// Errors: the file is gone or damaged.
  [[nodiscard]] Result<Content> content(const KeptRevision& kept) const;
  /// Of a revision by its number. Errors: as above, or it is not here.
  [[nodiscard]] Result<Content> content(std::uint64_t revision) const;
  /// The name of all of a revision's content in one. Errors: as of both.
  Result<std::string> whole_content(std::uint64_t revision) const;

  /// Keeps a revision ahead of its being enforced. REQUIRES: its content was stored.
  /// Errors: the disk is full or fails; nothing was kept then.
  Result<void> append(KeptRevision kept);
  /// As append(), of one that changes single objects of the newest one.
  Result<void> append(KeptRevision kept, std::span<const policy::Step> steps);
  /// It could not be enforced: takes the last append() back.
  Result<void> take_back();
  /// A revision is on trial no longer. Errors: as append().
  Result<void> confirm(std::uint64_t revision);

 private:
  Archive(std::string folder, std::size_t revisions_max, UniqueFd lock);
  Result<void> load();
  Result<void> take(Record record);
  Result<void> follow(KeptRevision kept);
  Result<void> gather_steps();
  [[nodiscard]] Result<const KeptRevision*> find(std::uint64_t revision) const;
  [[nodiscard]] Result<nlohmann::json> read_content(const std::string& content) const;
  [[nodiscard]] Result<std::string> store(const nlohmann::json& body) const;
  void trim();
  Result<void> start_journal();
  Result<void> write(const nlohmann::json& record);
  void remove_unnamed() const;
  [[nodiscard]] std::string journal_path() const;
  [[nodiscard]] std::string content_path(const std::string& content) const;

  std::string folder_;
  std::size_t revisions_max_ = 0;
  UniqueFd lock_;
  std::optional<Journal> journal_;
  std::size_t appended_ = 0;              // Records since the journal was written anew.
  std::optional<KeptRevision> replaced_;  // By the last one, which stands for it, too.
  std::vector<KeptRevision> revisions_;
  std::uint64_t next_number_ = 1;
};

}  // namespace portcullis::control
