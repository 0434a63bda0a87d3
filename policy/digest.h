// SPDX-License-Identifier: MIT
// ContentDigest: the digest of a snapshot's content while single objects of it change: a hash tree
// over the digests of the objects, so that a change costs one path and not the whole.
// Thread: one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "policy/snapshot.h"

namespace portcullis::policy {

class ContentDigest {
 public:
  static constexpr std::size_t kLeaves = 4096;
  static constexpr std::size_t kBranches = 64;

  explicit ContentDigest(const Snapshot& snapshot);

  void add(const Pod& pod);
  void add(const NetworkPolicy& policy);
  /// REQUIRES: an equal one is there.
  void remove(const Pod& pod);
  void remove(const NetworkPolicy& policy);

  /// As digest() of a snapshot with these objects.
  [[nodiscard]] std::string text();

 private:
  void insert(std::string digest);
  void erase(const std::string& digest);

  std::vector<std::vector<std::string>> leaves_;  // Digests of objects, by their first bits.
  std::vector<std::string> leaf_digests_;
  std::vector<std::string> branch_digests_;
  std::vector<bool> stale_;  // By leaf.
};

}  // namespace portcullis::policy
