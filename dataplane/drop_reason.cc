// SPDX-License-Identifier: MIT
#include "dataplane/drop_reason.h"

#include <array>

namespace portcullis::dataplane {
namespace {

constexpr std::array<std::string_view, kDropReasons> kNames{
    "NONE",
    "POLICY_DENIED",
    "POLICY_DENY",
    "CT_TRUNCATED_OR_INVALID_HEADER",
    "INVALID_IPV6_EXTENSION_HEADER",
    "UNSUPPORTED_L3_PROTOCOL",
    "FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND",
    "INVALID_SOURCE_IP",
    "UNKNOWN_CONNECTION_TRACKING_STATE",
    "CT_MAP_INSERTION_FAILED",
    "TTL_EXCEEDED",
    "NO_ROUTE",
    "NEIGHBOUR_UNRESOLVED",
    "PACKET_TOO_BIG",
    "NO_MEMORY",
    "TX_FULL",
    "FRAGMENT_OVERLAP",
    "FRAGMENT_TABLE_FULL",
    "TCP_OUT_OF_WINDOW",
    "TCP_INVALID_RESET",
    "TUNNEL_INVALID_HEADER",
    "TUNNEL_UNKNOWN_PAYLOAD",
    "TUNNEL_NESTED",
    "TUNNEL_FRAGMENTED",
    "HANDOVER_FULL",
    "CT_NAMESPACE_QUOTA",
};
static_assert(static_cast<std::size_t>(DropReason::conntrack_quota) + 1 == kDropReasons);

}  // namespace

std::string_view to_string(DropReason reason) {
  const auto index = static_cast<std::size_t>(reason);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

}  // namespace portcullis::dataplane
