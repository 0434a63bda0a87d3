// SPDX-License-Identifier: MIT
// Locator: what people write for an end of a flow ("shop/web", "10.0.0.1") -> its address.
// Thread: immutable after construction. Owner: the snapshot must outlive it.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "classifier/key.h"
#include "policy/snapshot.h"

namespace portcullis::policy {

/// A flow as a probe states it. `protocol` is kProtocolIcmp for ICMP of either family.
struct FlowText {
  std::string_view src;
  std::string_view dst;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
};

struct Located {
  classifier::Flow flow;
  std::vector<std::string> warnings;  // "pod shop/job has ended; its last address ..."
};

/// All that an end's name stands for.
struct LocatedEnd {
  std::vector<IpAddress> addresses;  // At least one; the first is preferred.
  bool ended = false;                // A pod that runs no more: others may have its addresses.
};

class Locator {
 public:
  explicit Locator(const Snapshot& snapshot);

  /// "namespace/pod" stands for the pod's primary address, or its first address of the family that
  /// the other end has; an address stands for itself. ICMP becomes ICMPv6 between IPv6 addresses.
  /// Errors: no such pod, a pod without an address, no family that both ends have, neither form.
  [[nodiscard]] Result<Located> locate(const FlowText& text) const;
  /// "namespace/pod" or an address. Errors: no such pod, a pod without an address, neither form.
  [[nodiscard]] Result<LocatedEnd> locate_end(std::string_view text) const;

 private:
  struct End {
    std::vector<IpAddress> addresses;  // The first is preferred.
    const Pod* pod = nullptr;          // Null for an address.
  };
  [[nodiscard]] Result<End> end_of(std::string_view text) const;
  [[nodiscard]] std::string suggestion(std::string_view text) const;

  std::unordered_map<std::string, const Pod*> pods_;
};

}  // namespace portcullis::policy
