// SPDX-License-Identifier: MIT
// IP addresses and prefixes of both families: parse, print, compare, contain.
// Thread: plain values. Bytes are in network order everywhere in this file.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace portcullis {

enum class Family : std::uint8_t { v4, v6 };

/// One address. An IPv4 address uses bytes[0..3]; the rest is zero, so that == compares whole.
struct IpAddress {
  Family family = Family::v4;
  std::array<std::uint8_t, 16> bytes{};

  /// Width in bits: 32 or 128.
  [[nodiscard]] constexpr unsigned width() const { return family == Family::v4 ? 32 : 128; }
  /// The IPv4 address as a number (10.0.0.1 is 0x0a000001). REQUIRES: family == v4.
  [[nodiscard]] constexpr std::uint32_t v4() const {
    return (std::uint32_t{bytes[0]} << 24U) | (std::uint32_t{bytes[1]} << 16U) |
           (std::uint32_t{bytes[2]} << 8U) | std::uint32_t{bytes[3]};
  }
  [[nodiscard]] static IpAddress from_v4(std::uint32_t number);
  [[nodiscard]] static IpAddress from_v6(const std::array<std::uint8_t, 16>& bytes);

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

/// An address block. Host bits are zero: make one with prefix_of() or parse_prefix().
struct Prefix {
  IpAddress address;
  std::uint8_t length = 0;

  [[nodiscard]] bool contains(const IpAddress& other) const;
  /// True when every address of `other` is in this block (equal blocks included).
  [[nodiscard]] bool contains(const Prefix& other) const;

  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

/// The block of `length` bits that holds `address`. REQUIRES: length <= address.width().
Prefix prefix_of(const IpAddress& address, unsigned length);
/// The first and the last address of a block.
IpAddress first_address(const Prefix& prefix);
IpAddress last_address(const Prefix& prefix);
/// The address after this one; wraps to zero after the last.
IpAddress next_address(const IpAddress& address);
IpAddress previous_address(const IpAddress& address);

/// Reads "10.0.0.1" or "2001:db8::1", strictly: no leading zeros, no zone, no IPv4-mapped form.
Result<IpAddress> parse_ip(std::string_view text);

/// Reads "10.0.0.0/8" as the Kubernetes API server does (host bits are masked off,
/// leading zeros read as decimal, "::ffff:a.b.c.d/120" is the IPv4 block a.b.c.d/24).
/// `sloppy`, if given, is set when the text was accepted only by that leniency.
Result<Prefix> parse_prefix(std::string_view text, bool* sloppy = nullptr);

std::string to_string(const IpAddress& address);
std::string to_string(const Prefix& prefix);

}  // namespace portcullis

template <>
struct std::hash<portcullis::IpAddress> {
  std::size_t operator()(const portcullis::IpAddress& address) const noexcept {
    return std::hash<std::string_view>{}(
               {reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()}) ^
           static_cast<std::size_t>(address.family);
  }
};
