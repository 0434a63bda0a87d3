// SPDX-License-Identifier: MIT
// What the kernel's interface behind a port leaves to hardware that a virtual one has not:
// checksums, which we finish, and segmentation, which only its owner can switch off.
// Thread: the control thread.
#pragma once

#include <string>

#include "config/config.h"

namespace portcullis::dataplane {

/// The interface whose packets the kernel's own stack hands over: of net_af_packet, net_af_xdp and
/// net_pcap. Empty for all other devices; net_tap gets its packets finished.
std::string kernel_interface(const config::Port& port);

/// What somebody has to do at this port's interface, with the command for it; empty where nothing
/// is known to be wrong. Asks the interface (SIOCETHTOOL) whether it joins what it receives to
/// packets that are larger than a frame may be, and whether it is a veth, whose other end may send
/// such packets.
std::string offload_advice(const config::Port& port);

}  // namespace portcullis::dataplane
