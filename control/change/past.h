// SPDX-License-Identifier: MIT
// Past: what changes left in the history: what a revision holds, and by what two of them differ.
// Thread: the control thread; what takes long runs on the lane.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/result.h"
#include "control/loop.h"
#include "control/protocol.h"
#include "control/reconcile.h"
#include "control/state/archive.h"
#include "policy/snapshot.h"

namespace portcullis::control {

class Past {
 public:
  /// Takes the answer, on the control thread.
  using Done = std::function<void(Answer)>;

  /// REQUIRES: as of Changes.
  Past(Lane& lane, const Reconcile& reconcile, const Archive* archive)
      : lane_(lane), reconcile_(reconcile), archive_(archive) {}

  /// What a revision holds; absent: the running one.
  void show(std::optional<std::uint64_t> number, Done done) const;
  /// By which objects `to` differs from `from`; absent: the running one, and the one ahead of it.
  void diff(std::optional<std::uint64_t> from, std::optional<std::uint64_t> to, Done done) const;

 private:
  /// Errors: not in the history, or its content is damaged. The lane's.
  [[nodiscard]] Result<std::shared_ptr<const policy::Snapshot>> snapshot_of(
      const Revision& revision) const;
  [[nodiscard]] Result<Revision> running_or(std::optional<std::uint64_t> number) const;

  Lane& lane_;
  const Reconcile& reconcile_;
  const Archive* archive_;
};

}  // namespace portcullis::control
