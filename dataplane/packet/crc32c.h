// SPDX-License-Identifier: MIT
// CRC32c (Castagnoli), the checksum of SCTP (RFC 9260, appendix A).
// Thread: any; pure functions on bytes.
#pragma once

#include <cstdint>
#include <span>

namespace portcullis::dataplane {

/// The CRC of a message. SCTP has its least significant byte first on the wire, unlike all else in
/// a packet. Cost: about a cycle a byte.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes) noexcept;

}  // namespace portcullis::dataplane
