// SPDX-License-Identifier: MIT
#include "classifier/updater/running.h"

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
  for (RegionIndex region = 0; region < census.regions().all().size(); ++region) {
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

}  // namespace portcullis::classifier
