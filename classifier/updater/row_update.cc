// SPDX-License-Identifier: MIT
#include "classifier/updater/row_update.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <tuple>

#include "classifier/compiler/row_builder.h"
#include "classifier/permits/permits.h"

namespace portcullis::classifier {
namespace {

/// More rows than this share of all, and a whole compile is no slower.
constexpr std::size_t kRowsShareMax = 4;
constexpr std::size_t kRowsAlways = 64;
constexpr const char* kOfEverything = "a rule of every pod changes";

constexpr std::size_t number_of(Direction direction) {
  return static_cast<std::size_t>(direction);
}

void sort_unique(auto& list) {
  std::ranges::sort(list);
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

/// The value that an entry had before the delta: that of its first change.
template <typename T>
std::map<std::uint32_t, const T*> before_of(const std::vector<Change<T>>& inverse,
                                            std::size_t count) {
  std::map<std::uint32_t, const T*> before;
  for (const Change<T>& change : inverse) {
    if (change.index < count) {
      before.emplace(change.index, &change.value);
    }
  }
  return before;
}

/// A part of these words; the old one if it holds no fewer: words are only ever added.
bool extend(TablePart& part, std::span<const std::byte> bytes) {
  if (part.size == bytes.size()) {
    return false;
  }
  part = TablePart::copy(bytes);
  return true;
}

bool replace(TablePart& part, std::span<const std::byte> bytes) {
  if (part.size == bytes.size() && std::memcmp(part.bytes.get(), bytes.data(), part.size) == 0) {
    return false;
  }
  part = TablePart::copy(bytes);
  return true;
}

std::span<const std::byte> bytes_of(const auto& words) {
  return std::as_bytes(std::span(words));
}

}  // namespace

std::string RowUpdate::refusal() const {
  if (running_.compiled.permits == nullptr) {
    return "the table has no permits";
  }
  if (undo_.inverse.pod_cidrs || undo_.inverse.default_mode) {
    return "the mode or the pods' networks change";
  }
  const auto before = before_of(undo_.inverse.sets, undo_.sets);
  for (const auto& [set, value] : before) {
    if (value->everything != rules_.sets[set].everything) {
      return "a set begins or ceases to be everything";
    }
  }
  return {};
}

std::vector<Prefix> RowUpdate::new_prefixes() const {
  std::vector<Prefix> prefixes;
  const auto note = [&](const AddressSet& set) {
    for (const Block& block : set.blocks) {
      prefixes.push_back(block.cidr);
      prefixes.insert(prefixes.end(), block.except.begin(), block.except.end());
    }
  };
  for (const auto& [set, value] : before_of(undo_.inverse.sets, undo_.sets)) {
    note(rules_.sets[set]);
  }
  for (std::size_t set = undo_.sets; set < rules_.sets.size(); ++set) {
    note(rules_.sets[set]);
  }
  std::erase_if(prefixes, [&](const Prefix& prefix) { return running_.census.cut_at(prefix); });
  return prefixes;
}

std::string RowUpdate::run(const Moves& moves, UpdateReport& report) {
  moves_ = moves;
  const std::array columns{running_.half(Direction::egress).column_kinds.size(),
                           running_.half(Direction::ingress).column_kinds.size()};
  change_rules();
  change_blocks();
  find_kinds();
  for (const RoleName role : kRoles) {
    if (std::string why = regroup(role); !why.empty()) {
      return why;
    }
  }
  if (std::string why = find_rows(); !why.empty()) {
    return why;
  }
  running_.compiled.matrix->begin_changes(changed_ports_);
  for (const Direction direction : {Direction::egress, Direction::ingress}) {
    if (std::string why = build_rows(direction); !why.empty()) {
      return why;
    }
    report.rows += rows_[number_of(direction)].size();
    report.columns += running_.half(direction).column_kinds.size() - columns[number_of(direction)];
  }
  running_.book.clear_changes();
  if (std::string why = assign_classes(); !why.empty()) {
    return why;
  }
  report.classes = running_.book.new_classes();
  const Classes& classes = running_.compiled.classes;
  Crew alone({.threads = 1}, 1);
  if (!running_.compiled.permits->fold(classes, alone) ||
      !running_.compiled.permits->lay_out(classes.classes.size(), alone)) {
    return "the permits grow too large";
  }
  report.permit_rows = running_.compiled.permits->folded();
  running_.garbage_bytes +=
      running_.book.lost_numbers() * kClassBytes + running_.compiled.permits->freed_bytes();
  if (std::string why = write_addresses(report); !why.empty()) {
    return why;
  }
  write_parts(report);
  return {};
}

void RowUpdate::change_rules() {
  for (const Change<PortSet>& change : undo_.inverse.port_sets) {
    changed_ports_.push_back(change.index);
  }
  for (std::size_t i = undo_.port_sets; i < rules_.port_sets.size(); ++i) {
    changed_ports_.push_back(static_cast<PortsIndex>(i));
  }
  const auto before = before_of(undo_.inverse.rules, undo_.rules);
  std::map<std::pair<std::size_t, SetIndex>, bool> told_apart;
  RuleIndex& index = running_.index;
  const auto note = [&](const Rule& rule) {
    for (const RoleName role : {RoleName{rule.direction, false}, RoleName{rule.direction, true}}) {
      const SetIndex set = role.is_peer ? rule.peers : rule.subjects;
      if (rule.action != Action::none) {
        told_apart.emplace(std::pair(role.number(), set), index.tells_apart(role, set));
      }
    }
  };
  for (const auto& [rule, value] : before) {
    changed_rules_.push_back(rule);
    note(*value);
  }
  for (std::size_t i = undo_.rules; i < rules_.rules.size(); ++i) {
    changed_rules_.push_back(static_cast<std::uint32_t>(i));
  }
  for (const std::uint32_t rule : changed_rules_) {
    note(rules_.rules[rule]);
  }
  for (const auto& [rule, value] : before) {
    index.remove(rule, *value);
  }
  for (const std::uint32_t rule : changed_rules_) {
    index.add(rule, rules_.rules[rule]);
  }
  for (const auto& [key, was] : told_apart) {
    const RoleName role = kRoles[key.first];
    if (index.tells_apart(role, key.second) != was) {
      toggled_.emplace_back(role, key.second);
    }
  }
}

void RowUpdate::change_blocks() {
  const Census& census = running_.census;
  const auto change = [&](SetIndex set, const std::vector<Block>& before) {
    const std::vector<Block>& after = rules_.sets[set].blocks;
    if (before != after) {
      count_garbage(before);
      running_.holders.kinds_in(census.inside(before), kinds_);
      running_.holders.kinds_in(census.inside(after), kinds_);
      running_.holders.replace_blocks(set, before, after, census);
    }
  };
  for (const auto& [set, value] : before_of(undo_.inverse.sets, undo_.sets)) {
    change(set, value->blocks);
  }
  for (std::size_t set = undo_.sets; set < rules_.sets.size(); ++set) {
    change(static_cast<SetIndex>(set), {});
  }
}

/// Kinds whose addresses come or go, and those of sets that tell apart what they did not, or the
/// reverse.
void RowUpdate::find_kinds() {
  for (const Move& move : moves_.addresses) {
    running_.holders.note(move.to, running_.census);
    kinds_.push_back(move.from);
    kinds_.push_back(move.to);
    before_.emplace(move.to, move.from);
  }
  running_.count_left(moves_);
  enter(moves_, running_.census);
  for (const auto& [role, set] : toggled_) {
    running_.holders.kinds_of(set, rules_.sets[set].blocks, running_.census, kinds_);
  }
  sort_unique(kinds_);
  std::erase_if(kinds_, [&](KindIndex kind) {  // Known once, and forgotten since.
    return is_gone(kind) && running_.census.kinds()[kind].address_class == kNoClass;
  });
}

/// True when a kind has no address any more. Unknown addresses always have theirs.
bool RowUpdate::is_gone(KindIndex kind) const {
  const Kind& asked = running_.census.kinds()[kind];
  return asked.address_kind != AddressKind::other && asked.addresses.empty();
}

KindIndex RowUpdate::kind_before(KindIndex kind) const {
  const auto found = before_.find(kind);
  return found == before_.end() ? kind : found->second;
}

std::string RowUpdate::regroup(RoleName role) {
  std::vector<Grouping::Turn> turns;
  for (const KindIndex number : kinds_) {
    const Kind& kind = running_.census.kinds()[number];
    if (!role.is_peer && kind.address_kind != AddressKind::workload) {
      continue;
    }
    turns.push_back({.kind = number, .before = kind_before(number), .is_gone = is_gone(number)});
    if (!turns.back().is_gone) {
      turns.back().signature =
          running_.holders.signature(role, kind, running_.census, running_.index);
    }
  }
  const Grouping::Outcome outcome = running_.grouping(role).regroup(turns);
  const std::size_t direction = number_of(role.direction);
  if (!role.is_peer) {
    rows_[direction].insert(outcome.fresh.begin(), outcome.fresh.end());
    running_.half(role.direction).row_count = running_.grouping(role).count();
    return {};
  }
  columns_changed_[direction] = outcome.changed_sets;
  sort_unique(columns_changed_[direction]);
  auto& kinds = running_.half(role.direction).column_kinds;
  while (kinds.size() < running_.grouping(role).count()) {
    const auto column = static_cast<std::uint32_t>(kinds.size());
    kinds.push_back(static_cast<AddressKind>(running_.grouping(role).signature(column).front()));
    if (kinds.back() == AddressKind::node) {
      return "nodes are told apart anew";
    }
    if (kinds.back() == AddressKind::other) {
      rows_[direction].insert(kRowOutside);
    }
  }
  return {};
}

std::string RowUpdate::find_rows() {
  for (const Change<PortSet>& change : undo_.inverse.port_sets) {
    for (std::size_t i = 0; i < rules_.rules.size(); ++i) {
      if (rules_.rules[i].ports == change.index) {
        changed_rules_.push_back(static_cast<std::uint32_t>(i));
      }
    }
  }
  const auto before = before_of(undo_.inverse.rules, undo_.rules);
  for (const auto& [rule, value] : before) {
    if (value->action != Action::none) {
      if (rules_.sets[value->subjects].everything) {
        return kOfEverything;
      }
      add_rows_of_set(value->direction, value->subjects);
    }
  }
  for (const Direction direction : {Direction::egress, Direction::ingress}) {
    for (const SetIndex peers : columns_changed_[number_of(direction)]) {
      const auto rules = running_.index.rules_of({direction, true}, peers);
      changed_rules_.insert(changed_rules_.end(), rules.begin(), rules.end());
    }
  }
  sort_unique(changed_rules_);
  for (const std::uint32_t number : changed_rules_) {
    const Rule& rule = rules_.rules[number];
    if (rule.action == Action::none) {
      continue;
    }
    if (rules_.sets[rule.subjects].everything) {
      return kOfEverything;
    }
    add_rows_of_set(rule.direction, rule.subjects);
  }
  for (const Direction direction : {Direction::egress, Direction::ingress}) {
    const std::size_t count = rows_[number_of(direction)].size();
    if (count > kRowsAlways && count * kRowsShareMax > running_.half(direction).row_count) {
      return "too many rows change";
    }
  }
  return {};
}

void RowUpdate::add_rows_of_set(Direction direction, SetIndex set) {
  const auto& rows_of_set = running_.half(direction).rows_of_set;
  if (set >= rows_of_set.size()) {
    return;
  }
  for (const std::uint32_t row : rows_of_set[set]) {
    if (row >= kRowsWithoutSubject) {
      rows_[number_of(direction)].insert(row);
    }
  }
}

/// By tier and priority.
std::vector<std::uint32_t> RowUpdate::rules_of_row(Direction direction, std::uint32_t row) const {
  const auto everywhere = running_.index.of_everything(direction);
  std::vector<std::uint32_t> rules(everywhere.begin(), everywhere.end());
  const Signature& signature = running_.grouping({direction, false}).signature(row);
  for (std::size_t i = 1; i < signature.size(); ++i) {  // Behind the kind.
    const auto more = running_.index.rules_of({direction, false}, signature[i]);
    rules.insert(rules.end(), more.begin(), more.end());
  }
  std::ranges::sort(rules, {}, [&](std::uint32_t rule) {
    return std::tuple(rules_.rules[rule].tier, rules_.rules[rule].order, rule);
  });
  return rules;
}

std::string RowUpdate::build_rows(Direction direction) {
  Matrix& matrix = *running_.compiled.matrix;
  Half& half = running_.half(direction);
  half.columns_of_set.resize(rules_.sets.size());
  half.rows_of_set.resize(rules_.sets.size());
  auto& places = running_.compiled.places[number_of(direction)];
  places.resize(half.row_count);
  PermitFolder& permits = *running_.compiled.permits;
  permits.set_column_count(direction, half.column_kinds.size(), matrix);
  RowBuilder builder(rules_, half);
  for (const std::uint32_t row : rows_[number_of(direction)]) {
    SparseRow sparse;
    if (row == kRowOutside) {
      sparse = matrix.row_outside(half);
    } else if (builder.build(rules_of_row(direction, row), matrix.outcomes())) {
      sparse = builder.row();
    } else {
      return "a row has too many outcomes";
    }
    const auto& rows = *matrix.rows(direction);
    if (row < rows.size()) {
      count_garbage(rows[row], sparse);
    }
    const auto place = matrix.replace_row(direction, row, std::move(sparse));
    if (!place) {
      return "a row outgrows its cells or spans";
    }
    places[row] = *place;
    permits.set_row(direction, row, rows[row]);
  }
  return {};
}

/// What a row leaves behind, if nobody shares it.
void RowUpdate::count_garbage(const SparseRow& before, const SparseRow& after) {
  if (before.outcomes.empty()) {
    return;
  }
  const unsigned cell_bytes = 1U << running_.compiled.matrix->cell_shift();
  std::size_t tiles = 0;
  std::uint32_t last = 0xffff'ffffU;
  for (const SparseRow::Cell& cell : before.cells) {
    tiles += cell.column >> kTileBits != last ? 1 : 0;
    last = cell.column >> kTileBits;
  }
  const std::size_t spans = (running_.half(Direction::egress).column_kinds.size() >> kSpanBits) + 1;
  std::size_t lines = 0;
  for (const std::uint32_t outcome : before.outcomes) {
    const bool is_reference = (outcome & kReference) != 0;
    lines += is_reference && std::ranges::find(after.outcomes, outcome) == after.outcomes.end();
  }
  running_.garbage_bytes += tiles * kTileColumns * cell_bytes + spans * sizeof(Span) +
                            before.outcomes.size() * sizeof(std::uint32_t) +
                            lines * (sizeof(PortLine) + sizeof(PermitLine));
}

/// Nodes of the tries that only these blocks needed, perhaps.
void RowUpdate::count_garbage(const std::vector<Block>& blocks) {
  const auto count = [&](const Prefix& prefix) {
    const bool is_v4 = prefix.address.family == Family::v4;
    const unsigned root_bits = is_v4 ? 16 : 8;
    const std::size_t nodes = prefix.length <= root_bits ? 0 : (prefix.length - root_bits + 7) / 8;
    running_.garbage_bytes += nodes * 256 << (is_v4 ? running_.map.header().entry_shift : 2U);
  };
  for (const Block& block : blocks) {
    count(block.cidr);
    std::ranges::for_each(block.except, count);
  }
}

std::string RowUpdate::assign_classes() {
  std::vector<ClassBook::Turn> turns;
  const auto& kinds = running_.census.kinds();
  for (const KindIndex number : kinds_) {
    const Kind& kind = kinds[number];
    ClassBook::Turn turn{.kind = number,
                         .before = kinds[kind_before(number)].address_class,
                         .is_gone = is_gone(number),
                         .roles = running_.roles_of_region[kind.region]};
    if (kind.address_class != kNoClass) {
      turn.before = kind.address_class;
    }
    turn.roles.egress_column = running_.grouping(kRoles[1]).group(number);
    turn.roles.ingress_column = running_.grouping(kRoles[3]).group(number);
    if (kind.address_kind == AddressKind::workload) {
      turn.roles.egress_row = running_.grouping(kRoles[0]).group(number);
      turn.roles.ingress_row = running_.grouping(kRoles[2]).group(number);
    }
    turns.push_back(turn);
  }
  PermitFolder& permits = *running_.compiled.permits;
  constexpr const char* kNoNumbers = "no number is left for a class";
  if (!running_.book.assign(turns, running_.census, permits)) {
    return kNoNumbers;
  }
  for (const std::uint32_t row : rows_[number_of(Direction::ingress)]) {
    if (row != kRowOutside && !running_.book.renumber(row, running_.census, permits)) {
      return kNoNumbers;
    }
  }
  return {};
}

/// Addresses that moved, and all those whose class has another number now.
std::string RowUpdate::write_addresses(UpdateReport& report) {
  const auto& kinds = running_.census.kinds();
  LiveMap& map = running_.map;
  std::vector<IpAddress> moved;
  std::ranges::transform(moves_.addresses, std::back_inserter(moved), &Move::address);
  std::set<RegionName> regions;
  for (const KindIndex number : running_.book.moved_kinds()) {
    if (kinds[number].address_kind == AddressKind::other) {
      regions.insert(kinds[number].region);
    }
  }
  const auto has_place = [&](const IpAddress& address) { return map.find(address).has_value(); };
  const bool has_room = std::ranges::all_of(moved, has_place) && map.has_room(moved);
  report.parts_copied += map.unshare(
      {.owners = !has_room || changes_owners(), .tries = !regions.empty() || !has_room});
  if ((!has_room && !map.make_room(moved)) || !paint(regions, report)) {
    return "entries are too narrow for more nodes";
  }
  for (const Move& move : moves_.addresses) {
    map.store(move.address, *map.find(move.address), entry_of(move, rules_, running_.census));
    ++report.addresses;
  }
  for (const KindIndex number : running_.book.moved_kinds()) {
    store_all(kinds[number], report);
  }
  return {};
}

bool RowUpdate::changes_owners() const {
  return std::ranges::any_of(moves_.addresses, [&](const Move& move) {
    const LiveMap::Entry entry = entry_of(move, rules_, running_.census);
    return entry.node != kNoClass && entry.node != running_.map.find(move.address)->node;
  });
}

void RowUpdate::store_all(const Kind& kind, UpdateReport& report) {
  for (const IpAddress& address : kind.addresses) {
    running_.map.store(address, *running_.map.find(address), {.address_class = kind.address_class});
    ++report.addresses;
  }
}

/// Regions whose unknown addresses have another class, with all that lies inside them.
bool RowUpdate::paint(const std::set<RegionName>& regions, UpdateReport& report) {
  const Census& census = running_.census;
  std::vector<KindIndex> kinds;
  for (const RegionName region : regions) {
    const std::vector<RegionName> nested = census.nested(region);
    for (const RegionName inside : nested) {
      const std::uint32_t number = census.kinds()[census.kind_of_region(inside)].address_class;
      if (!running_.map.paint(census.prefix_of(inside), number)) {
        return false;
      }
    }
    running_.holders.kinds_in(nested, kinds);
  }
  sort_unique(kinds);
  for (const KindIndex kind : kinds) {
    store_all(census.kinds()[kind], report);
  }
  return true;
}

void RowUpdate::write_parts(UpdateReport& report) {
  const Compiled& compiled = running_.compiled;
  LiveMap& map = running_.map;
  std::set<std::uint32_t> classes(running_.book.changed_classes().begin(),
                                  running_.book.changed_classes().end());
  for (const Direction direction : {Direction::egress, Direction::ingress}) {
    for (const std::uint32_t row : rows_[number_of(direction)]) {
      const auto list = compiled.permits->classes_of_row(direction, row);
      classes.insert(list.begin(), list.end());
    }
  }
  TablePart sources = map.part(Part::sources).clone();
  TablePart destinations = map.part(Part::destinations).clone();
  auto* const source = reinterpret_cast<SourceRecord*>(sources.bytes.get());
  auto* const destination = reinterpret_cast<DestinationRecord*>(destinations.bytes.get());
  for (const std::uint32_t number : classes) {
    std::tie(source[number], destination[number]) = compiled.records_of(number);
  }
  map.part(Part::sources) = std::move(sources);
  map.part(Part::destinations) = std::move(destinations);

  const Matrix& matrix = *compiled.matrix;
  TablePart& tiles = map.part(Part::tiles);
  const std::vector<std::byte> more_tiles = matrix.tile_bytes(tiles.size);
  if (!more_tiles.empty()) {
    const std::size_t size = tiles.size;
    tiles = tiles.clone(more_tiles.size());
    std::memcpy(tiles.bytes.get() + size, more_tiles.data(), more_tiles.size());
  }
  const PermitFolder& permits = *compiled.permits;
  const Outcomes& outcomes = matrix.outcomes();
  std::size_t copied = more_tiles.empty() ? 2 : 3;
  copied += extend(map.part(Part::spans), bytes_of(matrix.spans().words()));
  copied += extend(map.part(Part::outcomes), bytes_of(matrix.outcome_words().words()));
  copied += extend(map.part(Part::lines), bytes_of(outcomes.lines().words()));
  copied += extend(map.part(Part::forks), bytes_of(outcomes.forks().words()));
  copied += extend(map.part(Part::permit_lines), bytes_of(permits.lines()));
  copied += replace(map.part(Part::permit_rows), bytes_of(permits.rows(compiled.classes)));
  copied += replace(map.part(Part::permit_cells), bytes_of(permits.cells()));
  copied += replace(map.part(Part::permit_defaults), bytes_of(permits.defaults(compiled.classes)));
  report.parts_copied += copied;
}

}  // namespace portcullis::classifier
