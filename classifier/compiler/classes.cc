// SPDX-License-Identifier: MIT
#include "classifier/compiler/classes.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>
#include <utility>

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

bool listed_before(const std::vector<IpAddress>& addresses, std::size_t index) {
  const auto before = addresses.begin() + static_cast<std::ptrdiff_t>(index);
  return std::find(addresses.begin(), before, addresses[index]) != before;
}

/// Numbers the addresses; REQUIRES: ground.first_address has room for all.
void number_addresses(Ground& ground, const Crew& crew) {
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < ground.rules.endpoints.size() && !crew.stopped(); ++i) {
    ground.first_address[i] = next;
    const auto& addresses = ground.rules.endpoints[i].addresses;
    for (std::size_t k = 0; k < addresses.size(); ++k) {
      next += listed_before(addresses, k) ? 0 : 1;
    }
  }
  ground.first_address.back() = next;
}

void locate_addresses(Ground& ground, EndpointIndex endpoint_index) {
  const Endpoint& endpoint = ground.rules.endpoints[endpoint_index];
  std::uint32_t at = ground.first_address[endpoint_index];
  for (std::size_t k = 0; k < endpoint.addresses.size(); ++k) {
    if (listed_before(endpoint.addresses, k)) {
      continue;
    }
    const IpAddress& address = endpoint.addresses[k];
    ground.addresses[at] = {.address = address, .endpoint = endpoint_index};
    ground.region_of[at] = ground.regions.locate(address);
    ground.kind_of[at] =
        endpoint.kind == Endpoint::Kind::workload ? AddressKind::workload : AddressKind::node;
    ++at;
  }
}

Ground ground_of(const RuleSet& rules, const Regions& regions, Crew& crew) {
  Ground ground{.rules = rules, .regions = regions};
  ground.first_address.resize(rules.endpoints.size() + 1);
  number_addresses(ground, crew);
  ground.addresses.resize(ground.first_address.back());
  ground.region_of.resize(ground.addresses.size());
  ground.kind_of.resize(ground.addresses.size());
  crew.each_range(rules.endpoints.size(), [&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) {
      locate_addresses(ground, static_cast<EndpointIndex>(i));
    }
  });
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

/// So many sets of a role at once: refined apart, then joined.
constexpr std::size_t kPartsMax = 8;
/// Sets whose groups are listed at once.
constexpr std::size_t kSetsPerPiece = 1024;

/// One role of one direction: groups of addresses and of regions that its sets do not tell apart.
/// Peers are grouped by kind and sets, and unknown addresses take part; groups are numbered from 0.
/// Subjects are workload addresses grouped by sets, numbered from kRowsWithoutSubject.
/// Steps, each a number of pieces that may run beside each other: begin, refine, number, list.
class Role {
 public:
  enum class Kind : std::uint8_t { subjects, peers };
  Role(Kind kind, const Ground& ground, std::vector<SetIndex> sets)
      : kind_(kind), ground_(ground), sets_(std::move(sets)) {}

  /// Parts the regions, and the sets into at most `parts` runs.
  void begin(std::size_t parts);
  [[nodiscard]] std::size_t parts() const { return parts_.size(); }
  void refine(std::size_t part, const Crew& crew);
  void number(const Crew& crew);
  [[nodiscard]] std::size_t list_pieces() const {
    return (sets_.size() + kSetsPerPiece - 1) / kSetsPerPiece;
  }
  void list(std::size_t piece, const Crew& crew);

  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::uint32_t of_address(std::size_t address) const { return of_address_[address]; }
  [[nodiscard]] std::uint32_t of_region(RegionIndex region) const { return of_region_[region]; }
  /// The groups that each set holds. Only once.
  [[nodiscard]] std::vector<std::vector<std::uint32_t>> take_groups_of_sets() {
    return std::move(groups_of_sets_);
  }

 private:
  using Groups = std::vector<std::uint32_t>;  // By address.
  /// Sets first..last-1 and, once refined, what they make of the addresses.
  struct Part {
    std::size_t first = 0;
    std::size_t last = 0;
    Groups groups;
    std::uint32_t count = 0;
  };

  void part_regions();
  void part_sets(std::size_t parts);
  [[nodiscard]] std::uint32_t start_of(AddressKind kind, RegionIndex region) const;
  void join(Part& into, const Part& other, const Crew& crew) const;
  void number_peers(const Groups& groups);
  void number_subjects(const Groups& groups);
  void list_by_region_group();
  template <typename Visitor>
  void for_each_address(SetIndex set, Visitor visit) const;

  Kind kind_;
  const Ground& ground_;
  std::vector<SetIndex> sets_;
  std::vector<RegionRuns> runs_;             // Parallel to sets_.
  std::vector<std::uint32_t> region_group_;  // By region: told apart by blocks alone.
  std::uint32_t region_group_count_ = 0;
  std::vector<Part> parts_;
  std::vector<std::uint32_t> of_address_;
  std::vector<std::uint32_t> of_region_;
  std::uint32_t count_ = 0;
  std::vector<std::vector<std::uint32_t>> by_region_group_;  // The groups in each.
  std::vector<std::vector<std::uint32_t>> groups_of_sets_;
};

void Role::begin(std::size_t parts) {
  part_regions();
  part_sets(parts);
}

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

/// Runs of about as many endpoints each.
void Role::part_sets(std::size_t parts) {
  std::size_t members = 0;
  for (const SetIndex set : sets_) {
    members += ground_.rules.sets[set].endpoints.size();
  }
  // Every part costs a pass over all addresses.
  parts = std::clamp<std::size_t>(
      members / (2 * ground_.addresses.size() + 1), 1, std::min(parts, kPartsMax));
  const std::size_t share = members / parts + 1;
  std::size_t held = share;
  for (std::size_t s = 0; s < sets_.size(); ++s) {
    if (held >= share) {
      parts_.push_back({.first = s, .last = s});
      held = 0;
    }
    parts_.back().last = s + 1;
    held += ground_.rules.sets[sets_[s]].endpoints.size();
  }
  if (parts_.empty()) {
    parts_.emplace_back();
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

/// The group that addresses start in: those of different region groups are parted already.
std::uint32_t Role::start_of(AddressKind kind, RegionIndex region) const {
  constexpr std::uint32_t kKinds = 3;
  const auto number = kind_ == Kind::peers ? static_cast<std::uint32_t>(kind) : 0;
  return region_group_[region] * kKinds + number;
}

/// An address that a set holds by its blocks is not parted again when the set holds it as an
/// endpoint's, too.
void Role::refine(std::size_t part, const Crew& crew) {
  Part& here = parts_[part];
  Groups start(ground_.addresses.size());
  for (std::size_t i = 0; i < start.size(); ++i) {
    start[i] = start_of(ground_.kind_of[i], ground_.region_of[i]);
  }
  Partition partition(std::move(start), region_group_count_ * 3);
  for (std::size_t s = here.first; s < here.last && !crew.stopped(); ++s) {
    partition.begin_set();
    for_each_address(sets_[s], [&](std::uint32_t address) {
      if (runs_[s].empty() || !holds(runs_[s], ground_.region_of[address])) {
        partition.part(address);
      }
    });
  }
  here.count = partition.count();
  here.groups = partition.take_groups();
}

/// Parts what `other` tells apart: its groups are one set after another.
void Role::join(Part& into, const Part& other, const Crew& crew) const {
  std::vector<std::uint32_t> first(other.count + std::size_t{1});
  for (const std::uint32_t group : other.groups) {
    ++first[group + std::size_t{1}];
  }
  std::partial_sum(first.begin(), first.end(), first.begin());
  std::vector<std::uint32_t> next(first.begin(), std::prev(first.end()));
  std::vector<std::uint32_t> by_group(other.groups.size());
  for (std::uint32_t i = 0; i < by_group.size(); ++i) {
    by_group[next[other.groups[i]]++] = i;
  }
  Partition partition(std::move(into.groups), into.count);
  for (std::size_t group = 0; group < other.count && !crew.stopped(); ++group) {
    partition.begin_set();
    for (std::uint32_t i = first[group]; i < first[group + 1]; ++i) {
      partition.part(by_group[i]);
    }
  }
  into.count = partition.count();
  into.groups = partition.take_groups();
}

void Role::number(const Crew& crew) {
  for (std::size_t i = 1; i < parts_.size(); ++i) {
    join(parts_.front(), parts_[i], crew);
    parts_[i] = {};
  }
  const Groups groups = std::move(parts_.front().groups);
  parts_.clear();
  if (kind_ == Kind::peers) {
    number_peers(groups);
  } else {
    number_subjects(groups);
  }
  list_by_region_group();
  groups_of_sets_.resize(ground_.rules.sets.size());
}

/// In order of first appearance, whatever the groups are called.
void Role::number_peers(const Groups& groups) {
  std::vector<std::uint32_t> number;
  const auto numbered = [&](std::uint32_t group) {
    number.resize(std::max<std::size_t>(number.size(), group + std::size_t{1}), kNoGroup);
    if (number[group] == kNoGroup) {
      number[group] = count_++;
    }
    return number[group];
  };
  of_address_.reserve(groups.size());
  for (const std::uint32_t group : groups) {
    of_address_.push_back(numbered(group));
  }
  // No address is of the kind `other`, so these groups have kept their numbers.
  for (RegionIndex region = 0; region < region_group_.size(); ++region) {
    of_region_.push_back(numbered(start_of(AddressKind::other, region)));
  }
}

/// Workloads and nodes may share a group here; only the former get a number.
void Role::number_subjects(const Groups& groups) {
  count_ = kRowsWithoutSubject;
  for (RegionIndex region = 0; region < region_group_.size(); ++region) {
    of_region_.push_back(holds(ground_.unidentified, region) ? kRowUnidentified : kRowOutside);
  }
  std::vector<std::uint32_t> number;
  of_address_.reserve(groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (ground_.kind_of[i] != AddressKind::workload) {
      of_address_.push_back(of_region_[ground_.region_of[i]]);
      continue;
    }
    number.resize(std::max<std::size_t>(number.size(), groups[i] + std::size_t{1}), kNoGroup);
    if (number[groups[i]] == kNoGroup) {
      number[groups[i]] = count_++;
    }
    of_address_.push_back(number[groups[i]]);
  }
}

/// Rows of unknown addresses are nobody's subjects; every other group lies in one region group.
void Role::list_by_region_group() {
  by_region_group_.resize(region_group_count_);
  std::vector<bool> listed(count_);
  const auto list_one = [&](std::uint32_t group, RegionIndex region) {
    if (!listed[group]) {
      listed[group] = true;
      by_region_group_[region_group_[region]].push_back(group);
    }
  };
  for (std::size_t i = 0; i < of_address_.size(); ++i) {
    list_one(of_address_[i], ground_.region_of[i]);
  }
  for (RegionIndex region = 0; region < of_region_.size(); ++region) {
    list_one(of_region_[region], region);
  }
}

void Role::list(std::size_t piece, const Crew& crew) {
  std::vector<std::uint32_t> added_for(count_, kNoGroup);
  std::vector<std::uint32_t> visited_for(region_group_count_, kNoGroup);
  const std::size_t last_set = std::min(sets_.size(), (piece + 1) * kSetsPerPiece);
  for (std::size_t s = piece * kSetsPerPiece; s < last_set && !crew.stopped(); ++s) {
    const SetIndex set = sets_[s];
    auto& groups = groups_of_sets_[set];
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
          std::ranges::for_each(by_region_group_[region_group], add);
        }
      }
    }
    std::ranges::sort(groups);
  }
}

std::vector<AddressKind> column_kinds(const Ground& ground, const Role& peers) {
  std::vector<AddressKind> kinds(peers.count(), AddressKind::other);
  for (std::size_t i = 0; i < ground.addresses.size(); ++i) {
    kinds[peers.of_address(i)] = ground.kind_of[i];
  }
  return kinds;
}

/// Does a step of all roles, piece by piece.
template <typename Count, typename Step>
void each_piece(std::array<Role, 4>& roles, Crew& crew, Count count, Step step) {
  std::vector<std::pair<Role*, std::size_t>> pieces;
  for (Role& role : roles) {
    for (std::size_t i = 0; i < count(role); ++i) {
      pieces.emplace_back(&role, i);
    }
  }
  crew.begin("classes", pieces.size());
  crew.each(pieces.size(), [&](unsigned /*worker*/, std::size_t i) {
    step(*pieces[i].first, pieces[i].second);
    crew.advance();
  });
}

/// Numbers the quadruples of roles that there are.
void find_quadruples(const std::array<Role, 4>& roles,
                     const Crew& crew,
                     Ground& ground,
                     Classes& out) {
  constexpr std::size_t kRoles = 4;
  using Quadruple = std::array<std::uint32_t, kRoles>;
  Intern classes;
  Quadruple last{kNoGroup};
  std::uint32_t found = 0;
  const auto class_of = [&](auto of) {
    const Quadruple quadruple{of(roles[0]), of(roles[1]), of(roles[2]), of(roles[3])};
    if (quadruple == last) {
      return found;  // Neighbours are often pods of one kind.
    }
    last = quadruple;
    found = static_cast<std::uint32_t>(classes.place(quadruple) / kRoles);
    if (!classes.found()) {
      out.classes.push_back({.egress_row = quadruple[0],
                             .egress_column = quadruple[1],
                             .ingress_row = quadruple[2],
                             .ingress_column = quadruple[3]});
    }
    return found;
  };
  for (std::size_t i = 0; i < ground.addresses.size() && !crew.stopped(); ++i) {
    ground.addresses[i].address_class =
        class_of([i](const Role& role) { return role.of_address(i); });
  }
  for (RegionIndex region = 0; region < out.regions.all().size(); ++region) {
    out.region_classes.push_back(
        class_of([region](const Role& role) { return role.of_region(region); }));
  }
}

}  // namespace

Classes find_classes(const RuleSet& rules, Crew& crew) {
  crew.begin("classes", 1);
  Classes out{.regions = Regions(prefixes_of(rules))};
  Ground ground = ground_of(rules, out.regions, crew);
  if (crew.stopped()) {
    return out;
  }
  const auto role = [&](Role::Kind kind, Direction direction) {
    const bool peers = kind == Role::Kind::peers;
    return Role(kind, ground, sets_used(rules, direction, peers ? &Rule::peers : &Rule::subjects));
  };
  std::array<Role, 4> roles{role(Role::Kind::subjects, Direction::egress),
                            role(Role::Kind::peers, Direction::egress),
                            role(Role::Kind::subjects, Direction::ingress),
                            role(Role::Kind::peers, Direction::ingress)};
  const auto once = [](const Role& /*role*/) { return std::size_t{1}; };
  each_piece(roles, crew, once, [&](Role& one, std::size_t) { one.begin(crew.threads()); });
  each_piece(roles, crew, std::mem_fn(&Role::parts), [&](Role& one, std::size_t part) {
    one.refine(part, crew);
  });
  if (crew.stopped()) {
    return out;
  }
  each_piece(roles, crew, once, [&](Role& one, std::size_t) { one.number(crew); });
  each_piece(roles, crew, std::mem_fn(&Role::list_pieces), [&](Role& one, std::size_t piece) {
    one.list(piece, crew);
  });
  if (crew.stopped()) {
    return out;
  }
  for (std::size_t i = 0; i < out.halves.size(); ++i) {
    Role& subjects = roles[2 * i];
    Role& peers = roles[2 * i + 1];
    out.halves[i] = {.row_count = subjects.count(),
                     .column_kinds = column_kinds(ground, peers),
                     .rows_of_set = subjects.take_groups_of_sets(),
                     .columns_of_set = peers.take_groups_of_sets()};
  }
  find_quadruples(roles, crew, ground, out);
  out.addresses = std::move(ground.addresses);
  return out;
}

}  // namespace portcullis::classifier
