// SPDX-License-Identifier: MIT
// World: a snapshot in which single objects change, at the cost of those objects.
// Thread: one at a time.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "policy/edit.h"
#include "policy/snapshot.h"

namespace portcullis::policy {

/// An object as it was and as it is; null: not there.
template <typename Thing>
struct Replaced {
  ObjectKey key;
  std::shared_ptr<const Thing> before;
  std::shared_ptr<const Thing> after;
};

/// What edits have changed, each object once.
struct Changed {
  std::vector<Replaced<Pod>> pods;
  std::vector<Replaced<NetworkPolicy>> policies;
};

/// Whether what is there already, or not there, is an error.
enum class Strictness : std::uint8_t { strict, lenient };

class World {
 public:
  explicit World(std::shared_ptr<const Snapshot> base) : base_(std::move(base)) {}

  /// All edits, in their order, or none. Errors (strict): an object that is added is there, or one
  /// that is removed is not.
  Result<Changed> apply(std::span<const Edit> edits, Strictness strictness = Strictness::strict);
  /// REQUIRES: nothing was applied after it.
  void take_back(const Changed& changed);

  [[nodiscard]] std::size_t pods() const;
  [[nodiscard]] std::size_t policies() const;
  /// The whole of it now. Where nothing has changed it is what this began with, and costs nothing.
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const;

 private:
  template <typename Thing>
  using Overlay = std::map<ObjectKey, std::shared_ptr<const Thing>>;  // Null: removed.

  std::shared_ptr<const Snapshot> base_;
  Overlay<Pod> pods_;
  Overlay<NetworkPolicy> policies_;
  std::ptrdiff_t pods_more_ = 0;  // Than the base has.
  std::ptrdiff_t policies_more_ = 0;
};

/// As load() of the manifests, with steps laid over them that were taken once, each in its turn:
/// what is left of them need not fit together strictly.
Loaded load(std::span<const Manifest> manifests, std::span<const Step> steps);

}  // namespace portcullis::policy
