// SPDX-License-Identifier: MIT
// SHA-256 of content, as a name for snapshots and tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace portcullis {

/// Takes bytes piece by piece. Thread: one.
class Digest {
 public:
  Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  ~Digest();

  /// Adds raw bytes.
  Digest& add(std::span<const std::byte> bytes);
  /// Adds a string with its length, so that {"ab", "c"} differs from {"a", "bc"}.
  Digest& add(std::string_view text);
  Digest& add(std::uint64_t number);
  /// 64 hexadecimal digits. Call once.
  [[nodiscard]] std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace portcullis
