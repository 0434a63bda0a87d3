// SPDX-License-Identifier: MIT
// Intern: runs of words, each kept once, laid one after another. Deterministic: places follow the
// order of first appearance.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace portcullis::classifier {

class Intern {
 public:
  Intern();

  /// Where in words() this run begins; equal runs get the same place. An empty run is at 0.
  std::uint32_t place(std::span<const std::uint32_t> run) { return place(run, hash_of(run)); }
  /// The same with the run's hash, found before.
  std::uint32_t place(std::span<const std::uint32_t> run, std::uint64_t hash);
  static std::uint64_t hash_of(std::span<const std::uint32_t> run);
  /// Forgets all runs; what was allocated stays for others.
  void clear();
  /// True when the last place() found its run already there.
  [[nodiscard]] bool found() const { return found_; }

  [[nodiscard]] const std::vector<std::uint32_t>& words() const { return words_; }
  [[nodiscard]] std::size_t bytes() const { return words_.size() * sizeof(std::uint32_t); }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t begin = 0;
    std::uint32_t length = 0;  // 0: the slot is empty.
  };
  [[nodiscard]] bool holds(const Slot& slot,
                           std::uint64_t hash,
                           std::span<const std::uint32_t> run) const;
  void grow();

  std::vector<std::uint32_t> words_;
  std::vector<Slot> slots_;
  std::size_t used_ = 0;
  bool found_ = false;
};

}  // namespace portcullis::classifier
