// SPDX-License-Identifier: MIT
// A cluster from manifest text, judged by the direct evaluator and the compiled table at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "classifier/table.h"
#include "policy/lower.h"
#include "policy/snapshot.h"

namespace portcullis::test {

/// Two namespaces, x {team: x} and z {team: z}, on nodes n1 (192.168.0.1) and n2 (192.168.0.2):
///   x/a 10.0.0.1, fd00::1 on n1   app=a tier=front
///   x/b 10.0.0.2, fd00::2 on n1   app=b           http TCP 8080, dns UDP 53
///   x/c 10.0.0.3          on n2   app=c env=""    http TCP 80, http TCP 81 (two containers)
///   z/a 10.0.1.1          on n2   app=a
///   z/b 10.0.1.2          on n2   app=b           http UDP 8080
extern const std::string_view kTwoNamespaces;

class ManifestWorld {
 public:
  /// Reads kTwoNamespaces and `text`. An error in them is a failure of the test.
  explicit ManifestWorld(std::string_view text,
                         classifier::DefaultMode mode = classifier::DefaultMode::kubernetes);

  /// "TCP 80", "UDP 53", "SCTP 1", "ICMP", "protocol 47". Both judges must agree.
  [[nodiscard]] bool allows(std::string_view src,
                            std::string_view dst,
                            std::string_view port) const;

  [[nodiscard]] const policy::Lowered& lowered() const { return lowered_; }

 private:
  policy::Snapshot snapshot_;
  policy::LowerOptions options_;
  policy::Lowered lowered_;
  std::unique_ptr<const classifier::Table> table_;
};

/// A NetworkPolicy x/NAME with the given `spec` lines (indented by two).
std::string policy_in_x(std::string_view name, std::string_view spec);

}  // namespace portcullis::test
