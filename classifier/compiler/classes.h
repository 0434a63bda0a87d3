// SPDX-License-Identifier: MIT
// Identity classes: addresses that no rule tells apart, found for each direction as subject (row)
// and as peer (column), and together (class). Nodes and pods are not told apart for their own sake:
// `self` and `own_node` are resolved at lookup.
// Thread: plain data.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "classifier/compiler/regions.h"
#include "classifier/crew.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// Rows of subjects that are no workload's come first; see step 1 of rule.h.
inline constexpr std::uint32_t kRowOutside = 0;
inline constexpr std::uint32_t kRowUnidentified = 1;
inline constexpr std::uint32_t kRowsWithoutSubject = 2;

enum class AddressKind : std::uint8_t { workload, node, other };

/// One direction: who is told apart as subject and who as peer.
struct Half {
  std::uint32_t row_count = kRowsWithoutSubject;
  std::vector<AddressKind> column_kinds;  // One a column.
  /// For sets used in that role and not `everything`: ascending; else empty. By SetIndex.
  std::vector<std::vector<std::uint32_t>> rows_of_set;
  std::vector<std::vector<std::uint32_t>> columns_of_set;
};

/// An address of an endpoint.
struct KnownAddress {
  IpAddress address;
  EndpointIndex endpoint = kNoEndpoint;
  std::uint32_t address_class = 0;
};

/// What an address class is in each direction.
struct ClassRoles {
  std::uint32_t egress_row = 0;
  std::uint32_t egress_column = 0;
  std::uint32_t ingress_row = 0;
  std::uint32_t ingress_column = 0;

  friend bool operator==(const ClassRoles&, const ClassRoles&) = default;
};

struct Classes {
  Regions regions;
  std::vector<std::uint32_t> region_classes;  // Of addresses that are no endpoint's; by region.
  std::vector<KnownAddress> addresses;        // In order of endpoint.
  std::array<Half, 2> halves;                 // By Direction.
  std::vector<ClassRoles> classes;
  /// By Opening: the first class of that or a later opening as a destination; permits number so.
  std::array<std::uint32_t, 4> first_class{};
  /// Numbers in reserve for classes to come: by Opening, each list in falling order. Their roles
  /// are those of addresses that are denied everything.
  std::array<std::vector<std::uint32_t>, 4> reserve;

  [[nodiscard]] const Half& half(Direction direction) const {
    return halves[static_cast<std::size_t>(direction)];
  }
};

/// REQUIRES: indices are in range and no address has two owners (compile() checks).
Classes find_classes(const RuleSet& rules, Crew& crew);

}  // namespace portcullis::classifier
