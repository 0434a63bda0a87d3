// SPDX-License-Identifier: MIT
#include "classifier/updater/moves.h"

#include <algorithm>

#include <fmt/format.h>

namespace portcullis::classifier {
namespace {

/// What becomes of an endpoint's sets.
struct SetChange {
  SetIndex set = 0;
  bool member = false;
};

class MoveFinder {
 public:
  MoveFinder(const RuleSet& rules, const DeltaUndo& undo, Census& census)
      : rules_(rules), undo_(undo), census_(census) {}

  Result<Moves> find();

 private:
  void note_set(SetIndex set, const AddressSet& before);
  void touch_endpoints();
  void leave(const Endpoint& before, EndpointIndex index);
  Result<void> arrive(EndpointIndex index);
  [[nodiscard]] ProfileIndex new_profile(EndpointIndex index);

  const RuleSet& rules_;
  const DeltaUndo& undo_;
  Census& census_;
  std::map<EndpointIndex, std::vector<SetChange>> touched_;
  std::map<IpAddress, Move> moves_;
  Moves out_;
};

/// Endpoints that one list has and the other has not; both sorted.
void MoveFinder::note_set(SetIndex set, const AddressSet& before) {
  const auto& old_list = before.endpoints;
  const auto& new_list = rules_.sets[set].endpoints;
  auto old_at = old_list.begin();
  auto new_at = new_list.begin();
  while (old_at != old_list.end() || new_at != new_list.end()) {
    if (new_at == new_list.end() || (old_at != old_list.end() && *old_at < *new_at)) {
      touched_[*old_at++].push_back({.set = set, .member = false});
    } else if (old_at == old_list.end() || *new_at < *old_at) {
      touched_[*new_at++].push_back({.set = set, .member = true});
    } else {
      ++old_at;
      ++new_at;
    }
  }
}

void MoveFinder::touch_endpoints() {
  for (const Change<Endpoint>& change : undo_.inverse.endpoints) {
    touched_[change.index];
  }
  for (std::size_t i = undo_.endpoints; i < rules_.endpoints.size(); ++i) {
    touched_[static_cast<EndpointIndex>(i)];
  }
  // Membership is what differs between a set as it was and as it is.
  std::map<SetIndex, std::vector<const Membership*>> memberships;
  for (const Membership& membership : undo_.inverse.memberships) {
    memberships[membership.set].push_back(&membership);
  }
  std::map<SetIndex, const AddressSet*> replaced;
  for (const Change<AddressSet>& change : undo_.inverse.sets) {
    replaced.emplace(change.index, &change.value);
  }
  static const AddressSet kNothing;
  for (std::size_t i = undo_.sets; i < rules_.sets.size(); ++i) {
    replaced.insert_or_assign(static_cast<SetIndex>(i), &kNothing);
  }
  for (const auto& [set, before] : replaced) {
    note_set(set, *before);
  }
  for (const auto& [set, list] : memberships) {
    if (replaced.contains(set)) {
      continue;
    }
    for (const Membership* membership : list) {  // The last one of an endpoint holds.
      touched_[membership->endpoint].push_back({.set = set, .member = !membership->member});
    }
  }
}

ProfileIndex MoveFinder::new_profile(EndpointIndex index) {
  const std::vector<SetChange>& changes = touched_[index];
  const ProfileIndex before = census_.profile_of(index);
  if (changes.empty()) {
    return before;
  }
  SetList sets = census_.profiles().sets(before);
  for (const SetChange& change : changes) {
    const auto at = std::ranges::lower_bound(sets, change.set);
    const bool held = at != sets.end() && *at == change.set;
    if (change.member && !held) {
      sets.insert(at, change.set);
    } else if (!change.member && held) {
      sets.erase(at);
    }
  }
  return census_.profiles().intern(sets);
}

void MoveFinder::leave(const Endpoint& before, EndpointIndex index) {
  for (const IpAddress& address : before.addresses) {
    const Census::Known* const known = census_.find(address);
    if (known == nullptr || known->endpoint != index) {
      continue;  // It came and went within the delta.
    }
    const RegionName region = census_.kinds()[known->kind].region;
    moves_[address] = {.address = address,
                       .from = known->kind,
                       .to = census_.kind_of_region(region),
                       .was_known = true};
  }
}

Result<void> MoveFinder::arrive(EndpointIndex index) {
  const Endpoint& endpoint = rules_.endpoints[index];
  const ProfileIndex profile = new_profile(index);
  out_.profiles.emplace_back(index, profile);
  for (const IpAddress& address : endpoint.addresses) {
    const auto [move, is_new] = moves_.try_emplace(address);
    EndpointIndex owner = move->second.endpoint;
    if (is_new) {
      const RegionName region = census_.locate(address);
      const Census::Known* const known = census_.find(address);
      owner = known == nullptr ? kNoEndpoint : known->endpoint;
      move->second = {.address = address, .from = census_.kind_of_region(region)};
    }
    if (owner != kNoEndpoint && owner != index) {
      return fail(fmt::format("address {} belongs to endpoints {} and {}; it can have one owner",
                              to_string(address),
                              std::min(owner, index),
                              std::max(owner, index)));
    }
    move->second.endpoint = index;
    move->second.to =
        census_.intern(kind_of(endpoint), census_.kinds()[move->second.from].region, profile);
  }
  return {};
}

Result<Moves> MoveFinder::find() {
  touch_endpoints();
  std::map<EndpointIndex, const Endpoint*> before;
  for (const Change<Endpoint>& change : undo_.inverse.endpoints) {
    before.emplace(change.index, &change.value);  // The first change took out what was there.
  }
  for (const auto& [index, changes] : touched_) {
    if (index < undo_.endpoints) {
      const auto changed = before.find(index);
      leave(changed == before.end() ? rules_.endpoints[index] : *changed->second, index);
    }
  }
  for (const auto& [index, changes] : touched_) {
    PORTCULLIS_TRY_VOID(arrive(index));
  }
  for (const auto& [address, move] : moves_) {
    out_.addresses.push_back(move);
  }
  return std::move(out_);
}

}  // namespace

Result<Moves> find_moves(const RuleSet& rules, const DeltaUndo& undo, Census& census) {
  return MoveFinder(rules, undo, census).find();
}

LiveMap::Entry entry_of(const Move& move, const RuleSet& rules, const Census& census) {
  LiveMap::Entry entry{.address_class = census.kinds()[move.to].address_class};
  if (move.is_known()) {
    const std::uint32_t node = node_of(rules, move.endpoint);
    entry.node = node == kNoEndpoint ? kNoNode : node;
  }
  return entry;
}

void enter(const Moves& moves, Census& census) {
  for (const auto& [endpoint, profile] : moves.profiles) {
    census.set_profile(endpoint, profile);
  }
  for (const Move& move : moves.addresses) {
    if (move.is_known()) {
      census.enter(move.address, {.endpoint = move.endpoint, .kind = move.to});
    } else {
      census.forget(move.address);
    }
  }
}

}  // namespace portcullis::classifier
