// SPDX-License-Identifier: MIT
// The words of [non_ip]: protocols beside IP as people write them, and what each stands for.
// Thread: any; pure functions. Errors: the message says how such a word is written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/config.h"

namespace portcullis::config {

/// "arp", "lldp", "stp", "lacp", "eapol", "mpls", or an EtherType: 35020, "0x88cc".
/// Errors: no such word; a number that is no EtherType, or that of IP or of a VLAN tag, since what
/// stands behind those is never let through unjudged.
Result<NumberRange> parse_non_ip(std::string_view text);

/// The word for it, or "0x88f7".
std::string non_ip_name(const NumberRange& types);

/// True where frames of it carry packets of others, which nobody would judge.
bool carries_packets(const NumberRange& types);

}  // namespace portcullis::config
