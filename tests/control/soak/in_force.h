// SPDX-License-Identifier: MIT
// InForce: which contents a packet may have been judged by, from its being sent to its end.
// Publications are numbered from 1.
// Thread: each function says whose.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "policy/snapshot.h"

namespace portcullis::control {

class InForce {
 public:
  struct Content {
    std::shared_ptr<const policy::Snapshot> snapshot;
    /// Single objects changed: their stores into the table that runs may be seen ahead of the
    /// publication.
    bool is_edit = false;
  };

  /// A publication begins: a packet may be judged by it from now on. Thread: the control thread.
  void begin() { newest_.fetch_add(1); }
  /// It has ended: no packet is judged by an earlier one any more. Thread: the control thread.
  void end() { oldest_.store(newest_.load()); }
  /// What the last publication enforces. Thread: any, ahead of the next begin().
  void name(Content content);

  /// What a packet that is sent now may meet first, and one that ends now may have met last.
  /// Thread: any.
  [[nodiscard]] std::uint64_t oldest() const { return oldest_.load(); }
  [[nodiscard]] std::uint64_t newest() const { return newest_.load(); }
  /// Nothing: it was not named yet. REQUIRES: it was not forgotten. Thread: any.
  [[nodiscard]] std::optional<Content> content(std::uint64_t number) const;
  void forget_before(std::uint64_t number);

 private:
  std::atomic<std::uint64_t> oldest_ = 0;
  std::atomic<std::uint64_t> newest_ = 0;
  mutable std::mutex mutex_;  // Guards the one below.
  std::map<std::uint64_t, Content> contents_;
};

}  // namespace portcullis::control
