// SPDX-License-Identifier: MIT
// What policy does not reach: policies that select no pod, and pods whose packets nobody here
// judges as theirs. The pods are gone through once, when a revision is compiled as a whole.
// Thread: immutable, any. Owner: of all it names; the snapshot may go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/ip.h"
#include "dataplane/dataplane.h"
#include "policy/lower.h"
#include "policy/snapshot.h"
#include "policy/world.h"

namespace portcullis::control {

class Coverage {
 public:
  /// Names in one list at most; beside it stands how many there are.
  static constexpr std::size_t kNamesMax = 100;

  /// `lowered` is what the snapshot was lowered to. `node_addresses`, of a router: those of its
  /// uplink, by which it knows which of the nodes it is; else none.
  Coverage(const policy::Snapshot& snapshot,
           const policy::Lowered& lowered,
           std::span<const IpAddress> node_addresses);

  /// As it is once policies have changed, of which the `idle` ones select no pod.
  [[nodiscard]] Coverage with(std::span<const policy::Replaced<policy::NetworkPolicy>> policies,
                              std::span<const policy::ObjectKey> idle) const;

  /// The member `unselected` of a status (docs/protocol.md).
  [[nodiscard]] nlohmann::json unselected() const;
  /// The member `unmanaged` of a status, with the ports of now.
  /// Cost: by the ports' addresses, whatever the number of pods.
  [[nodiscard]] nlohmann::json unmanaged(std::span<const dataplane::PortStatus> ports) const;

 private:
  /// How many, and the names of the first.
  struct Tally {
    std::size_t total = 0;
    std::vector<std::string> first;
  };
  static void count(Tally& tally, const policy::Pod& pod);
  void find_unselected(const policy::Snapshot& snapshot, const policy::Lowered& lowered);
  void find_node(const policy::Snapshot& snapshot, std::span<const IpAddress> node_addresses);
  void sort_pods(const policy::Snapshot& snapshot);
  [[nodiscard]] Tally without_port(std::span<const dataplane::PortStatus> ports) const;

  std::map<std::string, policy::Where> unselected_;  // By "NAMESPACE/POLICY".
  Tally without_address_;
  Tally on_host_;
  std::string node_;                // This one's name; empty: not known, or no router.
  std::vector<std::string> local_;  // "NAMESPACE/POD": those of this node that want a port.
  std::unordered_map<IpAddress, std::uint32_t> local_of_;  // By their addresses.
};

}  // namespace portcullis::control
