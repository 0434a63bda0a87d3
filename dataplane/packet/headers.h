// SPDX-License-Identifier: MIT
// Wire layouts as offsets and numbers: what stands where in Ethernet, IP and transport headers.
// Headers are read by offset through load16 and friends, never by casting, since a frame has no
// alignment.
// Units: loads give host byte order, stores take it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace portcullis::dataplane::wire {

inline std::uint16_t load16(const std::uint8_t* at) noexcept {
  return static_cast<std::uint16_t>((at[0] << 8U) | at[1]);
}
inline std::uint32_t load32(const std::uint8_t* at) noexcept {
  return (std::uint32_t{load16(at)} << 16U) | load16(at + 2);
}
inline void store16(std::uint8_t* at, std::uint32_t value) noexcept {
  at[0] = static_cast<std::uint8_t>(value >> 8U);
  at[1] = static_cast<std::uint8_t>(value);
}
inline void store32(std::uint8_t* at, std::uint32_t value) noexcept {
  store16(at, value >> 16U);
  store16(at + 2, value & 0xffffU);
}

// Ethernet: | dst 6 | src 6 | type 2 |, then up to two tags | tci 2 | type 2 |.
inline constexpr std::size_t kEthernetBytes = 14;
inline constexpr std::size_t kVlanTagBytes = 4;
inline constexpr std::size_t kMacBytes = 6;
inline constexpr std::uint16_t kTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kTypeArp = 0x0806;
inline constexpr std::uint16_t kTypeVlan = 0x8100;
inline constexpr std::uint16_t kTypeQinq = 0x88a8;
inline constexpr std::uint16_t kTypeIpv6 = 0x86dd;
/// What is less than the first EtherType is a length: 802.3, and LLC follows.
inline constexpr std::uint16_t kTypeMin = 0x0600;

// LLC: | destination 1 | source 1 | control 1 |. A BPDU goes to 01:80:c2:00:00:00 to 0f.
inline constexpr std::size_t kLlcBytes = 3;
inline constexpr std::uint8_t kLlcStp = 0x42;
inline constexpr std::uint8_t kLlcUnnumbered = 0x03;

// ARP for Ethernet and IPv4:
// | hardware 2 | protocol 2 | 6 | 4 | operation 2 | sender mac 6 ip 4 | target mac 6 ip 4 |
inline constexpr std::size_t kArpBytes = 28;
inline constexpr std::size_t kArpOperation = 6;
inline constexpr std::size_t kArpSenderMac = 8;
inline constexpr std::size_t kArpSenderIp = 14;
inline constexpr std::size_t kArpTargetMac = 18;
inline constexpr std::size_t kArpTargetIp = 24;
inline constexpr std::uint16_t kArpRequest = 1;
inline constexpr std::uint16_t kArpReply = 2;

// IPv4: | 4 ihl | tos | total 2 | id 2 | flags, offset 2 | ttl | protocol | checksum 2 | src | dst
// |
inline constexpr std::size_t kIpv4Bytes = 20;
inline constexpr std::size_t kIpv4Total = 2;
inline constexpr std::size_t kIpv4Id = 4;
inline constexpr std::size_t kIpv4Fragment = 6;
inline constexpr std::size_t kIpv4Ttl = 8;
inline constexpr std::size_t kIpv4Protocol = 9;
inline constexpr std::size_t kIpv4Checksum = 10;
inline constexpr std::size_t kIpv4Src = 12;
inline constexpr std::size_t kIpv4Dst = 16;
inline constexpr std::uint16_t kIpv4DontFragment = 0x4000;
inline constexpr std::uint16_t kIpv4MoreFragments = 0x2000;
inline constexpr std::uint16_t kIpv4OffsetMask = 0x1fff;
/// Offsets count in units of this, so every fragment but the last is a multiple of it.
inline constexpr std::size_t kFragmentUnit = 8;
inline constexpr std::uint8_t kOptionEnd = 0;
inline constexpr std::uint8_t kOptionNop = 1;
inline constexpr std::uint8_t kOptionLooseRoute = 131;
inline constexpr std::uint8_t kOptionStrictRoute = 137;

// IPv6: | 6, class, label 4 | payload 2 | next 1 | hop limit 1 | src 16 | dst 16 |
inline constexpr std::size_t kIpv6Bytes = 40;
inline constexpr std::size_t kIpv6Payload = 4;
inline constexpr std::size_t kIpv6Next = 6;
inline constexpr std::size_t kIpv6HopLimit = 7;
inline constexpr std::size_t kIpv6Src = 8;
inline constexpr std::size_t kIpv6Dst = 24;

// IPv6 Fragment header: | next 1 | reserved 1 | offset 13 bits, reserved 2 bits, more 1 bit | id 4
// |
inline constexpr std::size_t kFragmentBytes = 8;
inline constexpr std::size_t kFragmentOffset = 2;
inline constexpr std::size_t kFragmentId = 4;
inline constexpr std::uint16_t kFragmentOffsetMask = 0xfff8;
inline constexpr std::uint16_t kFragmentMore = 1;

// Next headers that are extensions, and those that no host may follow blindly.
inline constexpr std::uint8_t kNextHopByHop = 0;
inline constexpr std::uint8_t kNextRouting = 43;
inline constexpr std::uint8_t kNextFragment = 44;
inline constexpr std::uint8_t kNextAuthentication = 51;
inline constexpr std::uint8_t kNextDestination = 60;
inline constexpr std::uint8_t kNextMobility = 135;
inline constexpr std::uint8_t kNextHostIdentity = 139;
inline constexpr std::uint8_t kNextShim6 = 140;

inline constexpr std::uint8_t kProtocolIgmp = 2;

inline constexpr std::uint8_t kProtocolIpv4 = 4;  // An IP packet in an IP packet (RFC 2003, 2473).
inline constexpr std::uint8_t kProtocolIpv6 = 41;
inline constexpr std::uint8_t kProtocolGre = 47;

// TCP: | ports 2+2 | sequence 4 | acknowledgement 4 | data offset 4 bits | flags 1 | window 2 | ...
inline constexpr std::size_t kTcpBytes = 20;
inline constexpr std::size_t kTcpSequence = 4;
inline constexpr std::size_t kTcpAcknowledgement = 8;
inline constexpr std::size_t kTcpOffset = 12;
inline constexpr std::size_t kTcpFlags = 13;
inline constexpr std::size_t kTcpWindow = 14;
inline constexpr std::size_t kTcpChecksum = 16;
inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;
inline constexpr std::uint8_t kTcpUrg = 0x20;
inline constexpr std::uint8_t kTcpCwr = 0x80;
inline constexpr std::uint8_t kTcpOptionScale = 3;  // | 3 | 3 | shift |
inline constexpr std::uint8_t kTcpScaleMax = 14;    // RFC 7323.

// UDP: | ports 2+2 | length 2 | checksum 2 |
inline constexpr std::size_t kUdpBytes = 8;
inline constexpr std::size_t kUdpLength = 4;
inline constexpr std::size_t kUdpChecksum = 6;
inline constexpr std::uint16_t kDhcpServerPort = 67;
inline constexpr std::uint16_t kDhcpClientPort = 68;

// SCTP: | ports 2+2 | verification tag 4 | checksum 4 |, then chunks | type 1 | flags 1 | length 2
// |
inline constexpr std::size_t kSctpBytes = 12;
inline constexpr std::size_t kSctpChecksum = 8;
inline constexpr std::size_t kSctpChunkBytes = 4;
inline constexpr std::uint8_t kSctpInit = 1;
inline constexpr std::uint8_t kSctpInitAck = 2;
inline constexpr std::uint8_t kSctpAbort = 6;
inline constexpr std::uint8_t kSctpShutdown = 7;
inline constexpr std::uint8_t kSctpShutdownAck = 8;
inline constexpr std::uint8_t kSctpShutdownComplete = 14;

// ICMP and ICMPv6: | type 1 | code 1 | checksum 2 | id 2, sequence 2 | or | ... | quoted packet |
inline constexpr std::size_t kIcmpBytes = 8;
inline constexpr std::size_t kIcmpId = 4;
inline constexpr std::uint8_t kIcmpEchoReply = 0;
inline constexpr std::uint8_t kIcmpUnreachable = 3;
inline constexpr std::uint8_t kIcmpEcho = 8;
inline constexpr std::uint8_t kIcmpTimeExceeded = 11;
inline constexpr std::uint8_t kIcmpParameterProblem = 12;
inline constexpr std::uint8_t kIcmpTimestamp = 13;
inline constexpr std::uint8_t kIcmpTimestampReply = 14;
inline constexpr std::uint8_t kIcmpv6Unreachable = 1;
inline constexpr std::uint8_t kIcmpv6TooBig = 2;
inline constexpr std::uint8_t kIcmpv6TimeExceeded = 3;
inline constexpr std::uint8_t kIcmpv6ErrorLast = 127;
inline constexpr std::uint8_t kIcmpv6Echo = 128;
inline constexpr std::uint8_t kIcmpv6EchoReply = 129;
inline constexpr std::uint8_t kMldQuery = 130;
inline constexpr std::uint8_t kMldDone = 132;
inline constexpr std::uint8_t kNdRouterSolicitation = 133;
inline constexpr std::uint8_t kNdRouterAdvertisement = 134;
inline constexpr std::uint8_t kNdNeighbourSolicitation = 135;
inline constexpr std::uint8_t kNdNeighbourAdvertisement = 136;
inline constexpr std::uint8_t kNdRedirect = 137;
inline constexpr std::uint8_t kMldReport2 = 143;

// Neighbour solicitation and advertisement: | icmp 4 | flags 4 | target 16 | options: type, len/8 |
inline constexpr std::size_t kNdBytes = 24;
inline constexpr std::size_t kNdTarget = 8;
inline constexpr std::uint8_t kNdHopLimit = 255;
inline constexpr std::uint8_t kNdSourceMac = 1;
inline constexpr std::uint8_t kNdTargetMac = 2;

// What tunnels call a whole Ethernet frame.
inline constexpr std::uint16_t kTypeEthernet = 0x6558;

// VXLAN (RFC 7348): | flags 1 | reserved 3 | network 3 | reserved 1 |, then Ethernet.
inline constexpr std::size_t kVxlanBytes = 8;
inline constexpr std::uint8_t kVxlanNetwork =
    0x08;  // The network's number is there, as it must be.
/// Version, next protocol, and so on of VXLAN-GPE: where any is set, Ethernet need not follow.
inline constexpr std::uint8_t kVxlanOther = 0x77;

// Geneve (RFC 8926): | version 2 bits, options' length 6 bits | flags 1 | type 2 | network 3 | 1 |,
// then options | class 2 | type 1 | reserved 3 bits, length 5 bits | ... |, lengths in four bytes.
inline constexpr std::size_t kGeneveBytes = 8;
inline constexpr std::size_t kGeneveType = 2;
inline constexpr std::size_t kGeneveOptionBytes = 4;
inline constexpr std::size_t kGeneveUnit = 4;

// GRE (RFC 2784, 2890): | flags, version 2 | type 2 | checksum 2, reserved 2 | key 4 | sequence 4
// |, the last three if their flag is set.
inline constexpr std::size_t kGreBytes = 4;
inline constexpr std::size_t kGreType = 2;
inline constexpr std::uint16_t kGreChecksum = 0x8000;
inline constexpr std::uint16_t kGreKey = 0x2000;
inline constexpr std::uint16_t kGreSequence = 0x1000;
inline constexpr std::size_t kGreFieldBytes = 4;
/// A source route, bits that a receiver must not ignore, and the version, which is 0.
inline constexpr std::uint16_t kGreOther = 0x4c07;

}  // namespace portcullis::dataplane::wire
