// SPDX-License-Identifier: MIT
#include "classifier/compiler/classes.h"

#include <algorithm>
#include <span>

#include "classifier/compiler/intern.h"
#include "classifier/compiler/partition.h"

namespace portcullis::classifier {
namespace {

constexpr std::uint32_t kNoGroup = 0xffff'ffffU;

/// Where each address lies, and which addresses are whose.
struct Ground {
  const RuleSet& rules;
  const Regions& regions;
  std::vector<KnownAddress> addresses;
  std::vector<std::uint32_t> first_address;  // By endpoint, and one past the last.
  std::vector<RegionIndex> region_of;        // By address.
  std::vector<AddressKind> kind_of;          // By address.
  RegionRuns unidentified;                   // Where an unknown address is denied.
};

std::vector<Prefix> prefixes_of(const RuleSet& rules) {
  std::vector<Prefix> prefixes = rules.pod_cidrs;
  for (const AddressSet& set : rules.sets) {
    for (const Block& block : set.blocks) {
      prefixes.push_back(block.cidr);
      prefixes.insert(prefixes.end(), block.except.begin(), block.except.end());
    }
  }
  return prefixes;
}

Ground ground_of(const RuleSet& rules, const Regions& regions) {
  Ground ground{.rules = rules, .regions = regions};
  for (std::size_t i = 0; i < rules.endpoints.size(); ++i) {
    const Endpoint& endpoint = rules.endpoints[i];
    ground.first_address.push_back(static_cast<std::uint32_t>(ground.addresses.size()));
    for (std::size_t k = 0; k < endpoint.addresses.size(); ++k) {
      const IpAddress& address = endpoint.addresses[k];
      const auto before = endpoint.addresses.begin() + static_cast<std::ptrdiff_t>(k);
      if (std::find(endpoint.addresses.begin(), before, address) != before) {
        continue;  // Listed twice.
      }
      ground.addresses.push_back({.address = address, .endpoint = static_cast<EndpointIndex>(i)});
      ground.region_of.push_back(regions.locate(address));
      ground.kind_of.push_back(endpoint.kind == Endpoint::Kind::workload ? AddressKind::workload
                                                                         : AddressKind::node);
    }
  }
  ground.first_address.push_back(static_cast<std::uint32_t>(ground.addresses.size()));
  if (rules.default_mode == DefaultMode::deny) {
    ground.unidentified = regions.inside(rules.pod_cidrs);
  }
  return ground;
}

/// The sets that rules of a direction use as subjects (or peers) and that tell addresses apart.
std::vector<SetIndex> sets_used(const RuleSet& rules, Direction direction, SetIndex Rule::*role) {
  std::vector<bool> used(rules.sets.size());
  for (const Rule& rule : rules.rules) {
    if (rule.direction == direction && rule.action != Action::none &&
        !rules.sets[rule.*role].everything) {
      used[rule.*role] = true;
    }
  }
  std::vector<SetIndex> sets;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i]) {
      sets.push_back(static_cast<SetIndex>(i));
    }
  }
  return sets;
}

/// One role of one direction: groups of addresses and of regions that its sets do not tell apart.
class Role {
 public:
  Role(const Ground& ground, std::vector<SetIndex> sets) : ground_(ground), sets_(std::move(sets)) {
    part_regions();
  }

  /// Groups by kind and sets; unknown addresses take part. Numbers them from 0.
  void group_peers();
  /// Groups workload addresses by sets; numbers them from kRowsWithoutSubject.
  void group_subjects();

  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::uint32_t of_address(std::size_t address) const { return of_address_[address]; }
  [[nodiscard]] std::uint32_t of_region(RegionIndex region) const { return of_region_[region]; }
  /// The groups that each set holds.
  [[nodiscard]] std::vector<std::vector<std::uint32_t>> groups_of_sets() const;

 private:
  void part_regions();
  [[nodiscard]] std::vector<std::uint32_t> part_addresses(std::vector<std::uint32_t> start,
                                                          std::uint32_t count) const;
  template <typename Visitor>
  void for_each_address(SetIndex set, Visitor visit) const;

  const Ground& ground_;
  std::vector<SetIndex> sets_;
  std::vector<RegionRuns> runs_;             // Parallel to sets_.
  std::vector<std::uint32_t> region_group_;  // By region: told apart by blocks alone.
  std::uint32_t region_group_count_ = 0;
  std::vector<std::uint32_t> of_address_;
  std::vector<std::uint32_t> of_region_;
  std::uint32_t count_ = 0;
};

void Role::part_regions() {
  const auto region_count = static_cast<std::uint32_t>(ground_.regions.all().size());
  Partition partition(std::vector<std::uint32_t>(region_count), 1);
  for (const SetIndex set : sets_) {
    runs_.push_back(ground_.regions.inside(ground_.rules.sets[set].blocks));
    partition.begin_set();
    for (const auto& [first, last] : runs_.back()) {
      for (RegionIndex region = first; region < last; ++region) {
        partition.part(region);
      }
    }
  }
  std::vector<std::uint32_t> number(partition.count(), kNoGroup);
  for (RegionIndex region = 0; region < region_count; ++region) {
    std::uint32_t& group = number[partition.group(region)];
    if (group == kNoGroup) {
      group = region_group_count_++;
    }
    region_group_.push_back(group);
  }
}

/// Visits the addresses of a set's endpoints.
template <typename Visitor>
void Role::for_each_address(SetIndex set, Visitor visit) const {
  for (const EndpointIndex endpoint : ground_.rules.sets[set].endpoints) {
    const std::uint32_t last = ground_.first_address[endpoint + 1];
    for (std::uint32_t i = ground_.first_address[endpoint]; i < last; ++i) {
      visit(i);
    }
  }
}

/// REQUIRES: `start` parts addresses of different region groups already. An address that a set
/// holds by its blocks is not parted again when the set holds it as an endpoint's, too.
std::vector<std::uint32_t> Role::part_addresses(std::vector<std::uint32_t> start,
                                                std::uint32_t count) const {
  Partition partition(std::move(start), count);
  for (std::size_t s = 0; s < sets_.size(); ++s) {
    partition.begin_set();
    for_each_address(sets_[s], [&](std::uint32_t address) {
      if (runs_[s].empty() || !holds(runs_[s], ground_.region_of[address])) {
        partition.part(address);
      }
    });
  }
  std::vector<std::uint32_t> groups(ground_.addresses.size());
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    groups[i] = partition.group(i);
  }
  return groups;
}

void Role::group_peers() {
  constexpr std::uint32_t kKinds = 3;
  const auto start_of = [&](AddressKind kind, RegionIndex region) {
    return region_group_[region] * kKinds + static_cast<std::uint32_t>(kind);
  };
  std::vector<std::uint32_t> start;
  for (std::size_t i = 0; i < ground_.addresses.size(); ++i) {
    start.push_back(start_of(ground_.kind_of[i], ground_.region_of[i]));
  }
  const auto parted = part_addresses(std::move(start), region_group_count_ * kKinds);

  std::vector<std::uint32_t> number;
  const auto numbered = [&](std::uint32_t group) {
    number.resize(std::max<std::size_t>(number.size(), group + std::size_t{1}), kNoGroup);
    if (number[group] == kNoGroup) {
      number[group] = count_++;
    }
    return number[group];
  };
  for (const std::uint32_t group : parted) {
    of_address_.push_back(numbered(group));
  }
  for (RegionIndex region = 0; region < region_group_.size(); ++region) {
    of_region_.push_back(numbered(start_of(AddressKind::other, region)));
  }
}

void Role::group_subjects() {
  count_ = kRowsWithoutSubject;
  for (RegionIndex region = 0; region < region_group_.size(); ++region) {
    of_region_.push_back(holds(ground_.unidentified, region) ? kRowUnidentified : kRowOutside);
  }
  std::vector<std::uint32_t> start;
  for (std::size_t i = 0; i < ground_.addresses.size(); ++i) {
    start.push_back(region_group_[ground_.region_of[i]]);
  }
  const auto parted = part_addresses(std::move(start), region_group_count_);

  // Workloads and nodes may share a group here; only the former get a number.
  std::vector<std::uint32_t> number;
  for (std::size_t i = 0; i < parted.size(); ++i) {
    if (ground_.kind_of[i] != AddressKind::workload) {
      of_address_.push_back(of_region_[ground_.region_of[i]]);
      continue;
    }
    number.resize(std::max<std::size_t>(number.size(), parted[i] + std::size_t{1}), kNoGroup);
    if (number[parted[i]] == kNoGroup) {
      number[parted[i]] = count_++;
    }
    of_address_.push_back(number[parted[i]]);
  }
}

std::vector<std::vector<std::uint32_t>> Role::groups_of_sets() const {
  // Rows of unknown addresses are nobody's subjects; every other group lies in one region group.
  std::vector<std::vector<std::uint32_t>> by_region_group(region_group_count_);
  std::vector<bool> listed(count_);
  const auto list = [&](std::uint32_t group, RegionIndex region) {
    if (!listed[group]) {
      listed[group] = true;
      by_region_group[region_group_[region]].push_back(group);
    }
  };
  for (std::size_t i = 0; i < of_address_.size(); ++i) {
    list(of_address_[i], ground_.region_of[i]);
  }
  for (RegionIndex region = 0; region < of_region_.size(); ++region) {
    list(of_region_[region], region);
  }

  std::vector<std::vector<std::uint32_t>> groups_of_sets(ground_.rules.sets.size());
  std::vector<std::uint32_t> added_for(count_, kNoGroup);
  std::vector<std::uint32_t> visited_for(region_group_count_, kNoGroup);
  for (std::size_t s = 0; s < sets_.size(); ++s) {
    const SetIndex set = sets_[s];
    auto& groups = groups_of_sets[set];
    const auto add = [&](std::uint32_t group) {
      if (added_for[group] != set) {
        added_for[group] = set;
        groups.push_back(group);
      }
    };
    for_each_address(set, [&](std::uint32_t address) { add(of_address_[address]); });
    for (const auto& [first, last] : runs_[s]) {
      for (RegionIndex region = first; region < last; ++region) {
        const std::uint32_t region_group = region_group_[region];
        if (visited_for[region_group] != set) {
          visited_for[region_group] = set;
          std::ranges::for_each(by_region_group[region_group], add);
        }
      }
    }
    std::ranges::sort(groups);
  }
  return groups_of_sets;
}

std::vector<AddressKind> column_kinds(const Ground& ground, const Role& peers) {
  std::vector<AddressKind> kinds(peers.count(), AddressKind::other);
  for (std::size_t i = 0; i < ground.addresses.size(); ++i) {
    kinds[peers.of_address(i)] = ground.kind_of[i];
  }
  return kinds;
}

/// Rows and columns of one direction.
struct Roles {
  Roles(const Ground& ground, Direction direction)
      : subjects(ground, sets_used(ground.rules, direction, &Rule::subjects)),
        peers(ground, sets_used(ground.rules, direction, &Rule::peers)) {
    subjects.group_subjects();
    peers.group_peers();
  }

  [[nodiscard]] Half half(const Ground& ground) const {
    return {.row_count = subjects.count(),
            .column_kinds = column_kinds(ground, peers),
            .rows_of_set = subjects.groups_of_sets(),
            .columns_of_set = peers.groups_of_sets()};
  }

  Role subjects;
  Role peers;
};

}  // namespace

Classes find_classes(const RuleSet& rules) {
  Classes out{.regions = Regions(prefixes_of(rules))};
  Ground ground = ground_of(rules, out.regions);
  const Roles egress(ground, Direction::egress);
  const Roles ingress(ground, Direction::ingress);
  out.halves = {egress.half(ground), ingress.half(ground)};

  constexpr std::size_t kRoles = 4;
  Intern classes;
  const auto class_of = [&](const std::array<std::uint32_t, kRoles>& roles) {
    const auto found = static_cast<std::uint32_t>(classes.place(roles) / kRoles);
    if (!classes.found()) {
      out.classes.push_back({.egress_row = roles[0],
                             .egress_column = roles[1],
                             .ingress_row = roles[2],
                             .ingress_column = roles[3]});
    }
    return found;
  };
  for (std::size_t i = 0; i < ground.addresses.size(); ++i) {
    ground.addresses[i].address_class = class_of({egress.subjects.of_address(i),
                                                  egress.peers.of_address(i),
                                                  ingress.subjects.of_address(i),
                                                  ingress.peers.of_address(i)});
  }
  for (RegionIndex region = 0; region < out.regions.all().size(); ++region) {
    out.region_classes.push_back(class_of({egress.subjects.of_region(region),
                                           egress.peers.of_region(region),
                                           ingress.subjects.of_region(region),
                                           ingress.peers.of_region(region)}));
  }
  out.addresses = std::move(ground.addresses);
  return out;
}

}  // namespace portcullis::classifier
