// SPDX-License-Identifier: MIT
#include "classifier/updater/running.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace portcullis::classifier {
namespace {

std::uint32_t group_in(RoleName role, const ClassRoles& roles) {
  const std::array groups{
      roles.egress_row, roles.egress_column, roles.ingress_row, roles.ingress_column};
  return groups[role.number()];
}

Grouping grouping_of(RoleName role, Classes& classes) {
  Half& half = classes.halves[static_cast<std::size_t>(role.direction)];
  return role.is_peer ? Grouping(half.columns_of_set, 0)
                      : Grouping(half.rows_of_set, kRowsWithoutSubject);
}

}  // namespace

Running::Running(const RuleSet& rules, Compiled made)
    : compiled(std::move(made)),
      census(rules, compiled.classes),
      index(rules),
      holders(rules, census),
      groupings{grouping_of(kRoles[0], compiled.classes),
                grouping_of(kRoles[1], compiled.classes),
                grouping_of(kRoles[2], compiled.classes),
                grouping_of(kRoles[3], compiled.classes)},
      book(compiled.classes, census),
      map(*compiled.table) {
  seed_groupings();
  for (const auto& numbers : compiled.classes.reserve) {
    garbage_bytes += numbers.size() * kClassBytes;
  }
  for (RegionName region = 0; region < census.region_count(); ++region) {
    const Kind& kind = census.kinds()[census.kind_of_region(region)];
    roles_of_region.push_back(compiled.classes.classes[kind.address_class]);
  }
}

void Running::seed_groupings() {
  for (std::size_t i = 0; i < census.kinds().size(); ++i) {
    const Kind& kind = census.kinds()[i];
    const ClassRoles& roles = compiled.classes.classes[kind.address_class];
    for (const RoleName role : kRoles) {
      if (role.is_peer || kind.address_kind == AddressKind::workload) {
        grouping(role).seed(static_cast<KindIndex>(i),
                            group_in(role, roles),
                            holders.signature(role, kind, census, index));
      }
    }
  }
}

void Running::cut_regions(std::vector<Prefix> prefixes) {
  for (const auto& [region, parent] : census.cut(std::move(prefixes))) {
    std::vector<KindIndex> kinds;
    holders.kinds_in(std::span(&parent, 1), kinds);
    holders.add_region(parent);
    roles_of_region.push_back(ClassRoles(roles_of_region[parent]));
    follow_kind(census.kind_of_region(region), census.kind_of_region(parent));
    for (const KindIndex kind : kinds) {
      split_kind(kind, region);
    }
  }
}

void Running::count_left(const Moves& moves) {
  for (const Move& move : moves.addresses) {
    if (move.was_known && !move.is_known()) {  // Hashes are half full at most.
      garbage_bytes += 2 * (move.address.family == Family::v4 ? sizeof(Owner4) : sizeof(Host6));
    }
  }
}

/// Gives those addresses of a kind that lie in a region a kind of their own.
void Running::split_kind(KindIndex kind, RegionName region) {
  std::vector<IpAddress> inside;
  const Prefix& prefix = census.prefix_of(region);
  std::ranges::copy_if(census.kinds()[kind].addresses,
                       std::back_inserter(inside),
                       [&](const IpAddress& address) { return prefix.contains(address); });
  if (inside.empty()) {
    return;
  }
  const Kind& model = census.kinds()[kind];
  const KindIndex own = census.intern(model.address_kind, region, model.profile);
  if (census.kinds()[own].address_class == kNoClass) {
    follow_kind(own, kind);
  }
  for (const IpAddress& address : inside) {
    Census::Known known = *census.find(address);
    known.kind = own;
    census.enter(address, known);
  }
}

/// Counts a new kind among those that another belongs to.
void Running::follow_kind(KindIndex kind, KindIndex model) {
  holders.note(kind, census);
  book.adopt(kind, census.kinds()[model].address_class, census);
  for (const RoleName role : kRoles) {
    if (const std::uint32_t group = grouping(role).group(model); group != Grouping::kNoGroup) {
      grouping(role).seed(kind, group, Signature(grouping(role).signature(group)));
    }
  }
}

}  // namespace portcullis::classifier
