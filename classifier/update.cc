// SPDX-License-Identifier: MIT
// Which way a delta goes, cheapest first: single stores, new address parts, everything.
#include "classifier/update.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "classifier/compiler/compiled.h"
#include "classifier/updater/census.h"
#include "classifier/updater/live_map.h"
#include "classifier/updater/moves.h"

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

/// What the last compile left, and what updates made of it.
struct Running {
  explicit Running(const RuleSet& rules, const Compiled& compiled)
      : census(rules, compiled.classes), map(*compiled.table) {}

  Census census;
  LiveMap map;
};

}  // namespace

struct Updater::State {
  RuleSet rules;
  CompileOptions options;
  std::optional<Running> running;

  Result<UpdateReport> compile(std::string why);
  Result<UpdateReport> follow(const DeltaUndo& undo);
  std::optional<std::vector<Store>> stores_of(const Moves& moves) const;
  [[nodiscard]] bool in_place(const std::vector<Store>& stores) const;
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
  Updater updater(
      std::make_unique<State>(State{.rules = std::move(rules), .options = options, .running = {}}));
  PORTCULLIS_TRY_VOID(updater.compact());
  return updater;
}

const RuleSet& Updater::rules() const {
  return state_->rules;
}

std::unique_ptr<const Table> Updater::table() const {
  const LiveMap& map = state_->running->map;
  return Table::share(map.header(), map.parts());
}

Result<UpdateReport> Updater::compact() {
  const Clock::time_point begin = Clock::now();
  PORTCULLIS_TRY(UpdateReport report, state_->compile("asked for"));
  report.duration = Clock::now() - begin;
  return report;
}

Result<UpdateReport> Updater::update(RuleDelta delta) {
  const Clock::time_point begin = Clock::now();
  PORTCULLIS_TRY(DeltaUndo undo, apply(std::move(delta), state_->rules));
  auto report = state_->follow(undo);
  if (!report) {
    take_back(std::move(undo), state_->rules);
    return report;
  }
  report->duration = Clock::now() - begin;
  return report;
}

Result<UpdateReport> Updater::State::compile(std::string why) {
  PORTCULLIS_TRY(const Compiled compiled, compile_whole(rules, options, false));
  running.emplace(rules, compiled);
  return UpdateReport{
      .way = UpdateWay::whole, .why_whole = std::move(why), .parts_copied = kPartCount};
}

Result<UpdateReport> Updater::State::follow(const DeltaUndo& undo) {
  if (changes_rules(undo, rules)) {
    return compile("rules change");
  }
  PORTCULLIS_TRY(const Moves moves, find_moves(rules, undo, running->census));
  const auto stores = stores_of(moves);
  if (!stores) {
    return compile("addresses of a kind, or at a place, that the table does not know");
  }
  UpdateReport report{.way = UpdateWay::in_place, .addresses = stores->size()};
  if (stores->empty()) {
    report.way = UpdateWay::nothing;
  } else if (!in_place(*stores)) {
    report.way = UpdateWay::addresses;
    report.parts_copied = running->map.unshare();
  }
  for (const Store& store : *stores) {
    // Several new addresses may have found the same free slot.
    running->map.store(store.move->address, *running->map.find(store.move->address), store.entry);
  }
  enter(moves, running->census);
  return report;
}

/// The stores that moves need; none if the map has no class or no place for one of them.
std::optional<std::vector<Store>> Updater::State::stores_of(const Moves& moves) const {
  std::vector<Store> stores;
  const auto& kinds = running->census.kinds();
  std::size_t new_slots = 0;
  for (const Move& move : moves.addresses) {
    const std::uint32_t new_class = kinds[move.to].address_class;
    const auto place = running->map.find(move.address);
    if (new_class == kNoClass || !place) {
      return std::nullopt;
    }
    new_slots += place->is_new || place->owner_is_new ? 1 : 0;
    LiveMap::Entry entry{.address_class = new_class};
    if (move.is_known()) {
      const std::uint32_t node = node_of(rules, move.endpoint);
      entry.node = node == kNoEndpoint ? kNoNode : node;
    }
    const bool same_class = kinds[move.from].address_class == new_class;
    if (!same_class || (entry.node != kNoClass && entry.node != place->node)) {
      stores.push_back({.move = &move, .place = *place, .entry = entry});
    }
  }
  return running->map.has_room(new_slots) ? std::optional(std::move(stores)) : std::nullopt;
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
