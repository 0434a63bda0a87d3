// SPDX-License-Identifier: MIT
// Which way a delta goes, cheapest first: single stores, new address parts, rows, everything.
#include "classifier/update.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "classifier/compiler/compiled.h"
#include "classifier/updater/live_map.h"
#include "classifier/updater/moves.h"
#include "classifier/updater/row_update.h"
#include "classifier/updater/running.h"
#include "classifier/updater/start.h"
#include "classifier/verdict.h"

namespace portcullis::classifier {
namespace {

using Clock = std::chrono::steady_clock;

/// What is written for a move.
struct Store {
  const Move* move = nullptr;
  LiveMap::Place place;
  LiveMap::Entry entry;
};

/// True when the delta changes more than addresses and who is in which set.
bool changes_rules(const DeltaUndo& undo, const RuleSet& rules) {
  const RuleDelta& inverse = undo.inverse;
  return !inverse.sets.empty() || undo.sets != rules.sets.size() || !inverse.port_sets.empty() ||
         undo.port_sets != rules.port_sets.size() || !inverse.rules.empty() ||
         undo.rules != rules.rules.size() || inverse.pod_cidrs || inverse.default_mode;
}

/// Garbage beyond this share of a table, and it is compiled anew.
constexpr std::size_t kGarbageShareMax = 10;

}  // namespace

struct Updater::State {
  RuleSet rules;
  CompileOptions options;
  PermitForm narrowest_permits = PermitForm::narrow;
  std::unique_ptr<Running> running;  // Null: an update failed half-way, the next compiles anew.
  Header header;                     // Of the newest table.
  Table::Parts parts;

  Result<UpdateReport> compile(std::string why, bool reserve);
  Result<UpdateReport> follow(const DeltaUndo& undo);
  Result<UpdateReport> follow_rows(const DeltaUndo& undo, const Moves& moves);
  std::optional<std::vector<Store>> stores_of(const Moves& moves) const;
  [[nodiscard]] bool in_place(const std::vector<Store>& stores) const;
  void publish();
  void recover();
};

const char* to_string(UpdateWay way) {
  constexpr std::array kNames{"nothing", "in place", "addresses", "rows", "whole"};
  return kNames[static_cast<std::size_t>(way)];
}

Updater::Updater(std::unique_ptr<State> state) : state_(std::move(state)) {}
Updater::Updater(Updater&&) noexcept = default;
Updater& Updater::operator=(Updater&&) noexcept = default;
Updater::~Updater() = default;

Result<Updater> Updater::start(RuleSet rules, const CompileOptions& options) {
  return start_updater(std::move(rules), options, PermitForm::narrow);
}

Result<Updater> start_updater(RuleSet rules,
                              const CompileOptions& options,
                              PermitForm narrowest_permits) {
  auto state = std::make_unique<Updater::State>();
  state->rules = std::move(rules);
  state->options = options;
  state->narrowest_permits = narrowest_permits;
  PORTCULLIS_TRY_VOID(state->compile("the first", true));
  return Updater(std::move(state));
}

const RuleSet& Updater::rules() const {
  return state_->rules;
}

std::unique_ptr<const Table> Updater::table() const {
  return Table::share(state_->header, state_->parts);
}

Result<UpdateReport> Updater::compact() {
  const Clock::time_point begin = Clock::now();
  PORTCULLIS_TRY(UpdateReport report, state_->compile("asked for", false));
  report.duration = Clock::now() - begin;
  return report;
}

Result<UpdateReport> Updater::update(RuleDelta delta) {
  const Clock::time_point begin = Clock::now();
  PORTCULLIS_TRY(DeltaUndo undo, apply(std::move(delta), state_->rules));
  auto report = state_->follow(undo);
  if (!report) {
    take_back(std::move(undo), state_->rules);
    state_->recover();
    return report;
  }
  report->duration = Clock::now() - begin;
  return report;
}

Result<UpdateReport> Updater::State::compile(std::string why, bool reserve) {
  WholeOptions whole{.reserve = reserve, .narrowest_permits = narrowest_permits};
  auto compiled = compile_whole(rules, options, whole);
  if (!compiled && reserve) {
    whole.reserve = false;  // It may have been too much.
    compiled = compile_whole(rules, options, whole);
  }
  if (!compiled) {
    return Failure(std::move(compiled).error());
  }
  running = std::make_unique<Running>(rules, *std::move(compiled));
  publish();
  return UpdateReport{
      .way = UpdateWay::whole, .why_whole = std::move(why), .parts_copied = kPartCount};
}

void Updater::State::publish() {
  header = running->map.header();
  header.first_static_id = rule_id(rules.rules.size());
  parts = running->map.parts();
}

/// After an update that failed half-way: what runs stays, and the next update can go on.
void Updater::State::recover() {
  if (running == nullptr) {
    const Header header_now = header;
    const Table::Parts parts_now = parts;
    static_cast<void>(compile("", true));
    header = header_now;
    parts = parts_now;
  }
}

Result<UpdateReport> Updater::State::follow(const DeltaUndo& undo) {
  if (running == nullptr) {
    return compile("the last update failed half-way", true);
  }
  PORTCULLIS_TRY(const Moves moves, find_moves(rules, undo, running->census));
  const auto stores = changes_rules(undo, rules) ? std::nullopt : stores_of(moves);
  if (!stores) {
    return follow_rows(undo, moves);
  }
  UpdateReport report{.way = UpdateWay::in_place, .addresses = stores->size()};
  if (stores->empty()) {
    report.way = UpdateWay::nothing;
  } else if (!in_place(*stores)) {
    report.way = UpdateWay::addresses;
    report.parts_copied = running->map.unshare({});
  }
  for (const Store& store : *stores) {
    // Several new addresses may have found the same free slot.
    running->map.store(store.move->address, *running->map.find(store.move->address), store.entry);
  }
  running->count_left(moves);
  enter(moves, running->census);
  publish();
  report.garbage_bytes = running->garbage_bytes;
  return report;
}

Result<UpdateReport> Updater::State::follow_rows(const DeltaUndo& undo, const Moves& moves) {
  RowUpdate row_update(rules, undo, *running);
  std::string why = row_update.refusal();
  if (!why.empty()) {
    return compile(std::move(why), true);
  }
  UpdateReport report{.way = UpdateWay::rows};
  if (auto prefixes = row_update.new_prefixes(); prefixes.empty()) {
    why = row_update.run(moves, report);
  } else {
    running->cut_regions(std::move(prefixes));
    PORTCULLIS_TRY(const Moves moves_after_cut, find_moves(rules, undo, running->census));
    why = row_update.run(moves_after_cut, report);
  }
  if (why.empty()) {
    const auto table = Table::share(running->map.header(), running->map.parts());
    const std::size_t total = table->sizes().total;
    report.garbage_bytes = running->garbage_bytes;
    if (total <= options.table_bytes_max && report.garbage_bytes * kGarbageShareMax <= total) {
      publish();
      return report;
    }
    why = "garbage";
  }
  running = nullptr;  // Of no use, unless this succeeds.
  return compile(std::move(why), true);
}

/// The stores that moves need; none if the map has no class or no place for one of them.
std::optional<std::vector<Store>> Updater::State::stores_of(const Moves& moves) const {
  std::vector<Store> stores;
  const auto& kinds = running->census.kinds();
  std::vector<IpAddress> addresses;
  for (const Move& move : moves.addresses) {
    const std::uint32_t new_class = kinds[move.to].address_class;
    const auto place = running->map.find(move.address);
    if (new_class == kNoClass || !place) {
      return std::nullopt;
    }
    addresses.push_back(move.address);
    const LiveMap::Entry entry = entry_of(move, rules, running->census);
    const bool same_class = kinds[move.from].address_class == new_class;
    if (!same_class || (entry.node != kNoClass && entry.node != place->node)) {
      stores.push_back({.move = &move, .place = *place, .entry = entry});
    }
  }
  return running->map.has_room(addresses) ? std::optional(std::move(stores)) : std::nullopt;
}

/// True when no reader can see a part of the change: one address of a family at most, and either
/// its class or its node, unless nobody can have asked for its node yet.
bool Updater::State::in_place(const std::vector<Store>& stores) const {
  std::array<std::size_t, 2> of_family{};
  const auto& kinds = running->census.kinds();
  for (const auto& [move, place, entry] : stores) {
    ++of_family[move->address.family == Family::v4 ? 0 : 1];
    const bool new_class = kinds[move->from].address_class != entry.address_class;
    const bool new_node = entry.node != kNoClass && entry.node != place.node;
    if (new_class && new_node && move->was_known && move->address.family == Family::v4) {
      return false;
    }
  }
  return of_family[0] <= 1 && of_family[1] <= 1;
}

}  // namespace portcullis::classifier
