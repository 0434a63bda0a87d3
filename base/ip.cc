// SPDX-License-Identifier: MIT
#include "base/ip.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>

#include <fmt/format.h>

namespace portcullis {
namespace {

/// Sets (or clears) every bit of `address` from bit `length` on.
IpAddress fill_host_bits(IpAddress address, unsigned length, bool ones) {
  for (unsigned bit = length; bit < address.width(); ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    auto& byte = address.bytes[bit / 8];
    byte = static_cast<std::uint8_t>(ones ? byte | mask : byte & ~mask);
  }
  return address;
}

/// inet_pton refuses leading zeros; the API server's lenient parser reads them as decimal.
std::string without_leading_zeros(std::string_view dotted) {
  std::string out;
  bool at_octet_start = true;
  for (std::size_t i = 0; i < dotted.size(); ++i) {
    const bool more_digits = i + 1 < dotted.size() && dotted[i + 1] >= '0' && dotted[i + 1] <= '9';
    if (at_octet_start && dotted[i] == '0' && more_digits) {
      continue;
    }
    out += dotted[i];
    at_octet_start = dotted[i] == '.';
  }
  return out;
}

bool is_v4_mapped(const IpAddress& address) {
  static constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return address.family == Family::v6 &&
         std::equal(kMapped.begin(), kMapped.end(), address.bytes.begin());
}

IpAddress unmapped(const IpAddress& address) {
  IpAddress v4;
  std::copy(address.bytes.begin() + 12, address.bytes.end(), v4.bytes.begin());
  return v4;
}

/// inet_pton for either family; no mapped-address policy.
bool read_address(std::string_view text, IpAddress& out) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) {
    return false;
  }
  const std::string terminated(text);
  out = IpAddress{};
  out.family = text.find(':') == std::string_view::npos ? Family::v4 : Family::v6;
  const int af = out.family == Family::v4 ? AF_INET : AF_INET6;
  return inet_pton(af, terminated.c_str(), out.bytes.data()) == 1;
}

}  // namespace

IpAddress IpAddress::from_v4(std::uint32_t number) {
  IpAddress out;
  for (unsigned i = 0; i < 4; ++i) {
    out.bytes[i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
  }
  return out;
}

IpAddress IpAddress::from_v6(const std::array<std::uint8_t, 16>& bytes) {
  return IpAddress{Family::v6, bytes};
}

bool Prefix::contains(const IpAddress& other) const {
  if (other.family != address.family) {
    return false;
  }
  const unsigned whole = length / 8U;
  if (std::memcmp(other.bytes.data(), address.bytes.data(), whole) != 0) {
    return false;
  }
  const unsigned rest = length % 8U;
  if (rest == 0) {
    return true;
  }
  const auto mask = static_cast<std::uint8_t>(0xff00U >> rest);
  return (other.bytes[whole] & mask) == (address.bytes[whole] & mask);
}

bool Prefix::contains(const Prefix& other) const {
  return other.length >= length && contains(other.address);
}

Prefix prefix_of(const IpAddress& address, unsigned length) {
  return Prefix{fill_host_bits(address, length, false), static_cast<std::uint8_t>(length)};
}

IpAddress first_address(const Prefix& prefix) {
  return prefix.address;
}

IpAddress last_address(const Prefix& prefix) {
  return fill_host_bits(prefix.address, prefix.length, true);
}

IpAddress next_address(const IpAddress& address) {
  IpAddress out = address;
  for (unsigned i = address.width() / 8; i-- > 0;) {
    if (++out.bytes[i] != 0) {
      break;
    }
  }
  return out;
}

IpAddress previous_address(const IpAddress& address) {
  IpAddress out = address;
  for (unsigned i = address.width() / 8; i-- > 0;) {
    if (out.bytes[i]-- != 0) {
      break;
    }
  }
  return out;
}

Result<IpAddress> parse_ip(std::string_view text) {
  IpAddress out;
  if (!read_address(text, out) || is_v4_mapped(out)) {
    return fail(fmt::format("'{}' is no IP address (e.g. 10.9.8.7 or 2001:db8::1)", text));
  }
  return out;
}

Result<Prefix> parse_prefix(std::string_view text, bool* sloppy) {
  const auto bad = [text] {
    return fail(
        fmt::format("'{}' must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)", text));
  };
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) {
    return bad();
  }
  const std::string_view head = text.substr(0, slash);
  const std::string_view tail = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, ec] = std::from_chars(tail.data(), tail.data() + tail.size(), length);
  if (ec != std::errc{} || end != tail.data() + tail.size() || tail.size() > 3) {
    return bad();
  }
  IpAddress address;
  bool lenient = tail.size() > 1 && tail[0] == '0';
  if (!read_address(head, address)) {
    lenient = true;
    if (head.find(':') != std::string_view::npos ||
        !read_address(without_leading_zeros(head), address)) {
      return bad();
    }
  }
  if (length > address.width()) {
    return bad();
  }
  if (is_v4_mapped(address) && length >= 96) {
    address = unmapped(address);
    length -= 96;
    lenient = true;
  }
  const Prefix prefix = prefix_of(address, length);
  lenient = lenient || prefix.address != address;
  if (sloppy != nullptr) {
    *sloppy = lenient;
  }
  return prefix;
}

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(address.family == Family::v4 ? AF_INET : AF_INET6,
            address.bytes.data(),
            text.data(),
            text.size());
  return text.data();
}

std::string to_string(const Prefix& prefix) {
  return fmt::format("{}/{}", to_string(prefix.address), prefix.length);
}

}  // namespace portcullis
