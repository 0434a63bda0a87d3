// SPDX-License-Identifier: MIT
// Reads the links of ports, and carries those of a wire's pairs over from one port to the other.
// Thread: the control thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "dataplane/dataplane.h"
#include "dataplane/dpdk/link/pair.h"
#include "dataplane/dpdk/port.h"

namespace portcullis::dataplane {

/// Whether the port has a link: as its device says or, where that does not look, its interface.
bool link_is_up(const Port& port);

class LinkCarrier {
 public:
  /// Carries nothing where the configuration does not want it. REQUIRES: the ports have just been
  /// started, and outlive it.
  LinkCarrier(const config::Config& config,
              std::span<const std::unique_ptr<Port>> ports,
              std::uint64_t now_ns);
  LinkCarrier(const LinkCarrier&) = delete;
  LinkCarrier& operator=(const LinkCarrier&) = delete;
  /// Lets up what is held down: an interface may outlive us.
  ~LinkCarrier();

  /// To be called some times a second. Says to the log what it does. Time: as LinkPair's.
  /// Cost: a few system calls a port, as its device reads a link.
  void check(std::uint64_t now_ns);

  /// Fills in what is said of a port's link beside its state.
  void tell(std::size_t port, PortStatus& status) const;

 private:
  struct End {
    const Port* port = nullptr;
    bool taken_down = false;  // By us, and so it must come up again.
    bool cannot = false;      // Its device was asked once, and cannot take its link down.
  };
  struct Wire {
    std::array<std::size_t, 2> ports;  // Their places.
    std::array<End, 2> ends;
    LinkPair pair;
  };
  static void take_down(End& end, const std::string& other);
  static void let_up(End& end);

  std::vector<Wire> wires_;
};

}  // namespace portcullis::dataplane
