// SPDX-License-Identifier: MIT
// Census: every address's kind. Addresses of one kind are alike to every set there is (used by a
// rule or not) and lie in one region, so they share a class.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "classifier/compiler/classes.h"
#include "classifier/layout.h"
#include "classifier/rule.h"
#include "classifier/updater/profiles.h"

namespace portcullis::classifier {

using KindIndex = std::uint32_t;
/// Names a region for good; RegionIndex is its place, which cuts move.
using RegionName = std::uint32_t;

struct Kind {
  AddressKind address_kind = AddressKind::other;
  RegionName region = 0;
  ProfileIndex profile = 0;
  std::uint32_t address_class = kNoClass;  // kNoClass: not known yet.
  std::vector<IpAddress> addresses;        // Of endpoints that are of it.
};

class Census {
 public:
  struct Known {
    EndpointIndex endpoint = kNoEndpoint;
    KindIndex kind = 0;
    std::uint32_t slot = 0;  // In the kind's addresses; the census's own.
  };

  Census(const RuleSet& rules, const Classes& classes);

  [[nodiscard]] std::size_t region_count() const { return prefixes_.size(); }
  [[nodiscard]] RegionName locate(const IpAddress& address) const;
  [[nodiscard]] bool cut_at(const Prefix& prefix) const { return regions_.cut_at(prefix); }
  /// REQUIRES: the blocks' prefixes are cut at.
  [[nodiscard]] std::vector<RegionName> inside(std::span<const Block> blocks) const;
  [[nodiscard]] const Prefix& prefix_of(RegionName region) const { return prefixes_[region]; }
  /// The region itself, then those inside its prefix, a prefix before those inside it.
  [[nodiscard]] std::vector<RegionName> nested(RegionName region) const;

  /// A new region and the one that it was a part of.
  struct Cut {
    RegionName region = 0;
    RegionName parent = 0;
  };
  /// Cuts at more prefixes. Each new region has a kind, of the class that its parent's has; the
  /// addresses in it are still of their old kinds. A parent comes before what was cut from it.
  std::vector<Cut> cut(std::vector<Prefix> prefixes);

  [[nodiscard]] Profiles& profiles() { return profiles_; }
  [[nodiscard]] const Profiles& profiles() const { return profiles_; }
  /// Of an endpoint; that of no set for one that is new.
  [[nodiscard]] ProfileIndex profile_of(EndpointIndex endpoint) const;
  void set_profile(EndpointIndex endpoint, ProfileIndex profile);

  /// The number of a kind, made if it is new.
  KindIndex intern(AddressKind address_kind, RegionName region, ProfileIndex profile);
  [[nodiscard]] const std::vector<Kind>& kinds() const { return kinds_; }
  void set_class(KindIndex kind, std::uint32_t address_class);
  /// Of the addresses in a region that are no endpoint's.
  [[nodiscard]] KindIndex kind_of_region(RegionName region) const { return of_region_[region]; }

  /// Null: the address is no endpoint's and never was. No endpoint: an IPv6 address that was one's;
  /// the map still lists it, as of its region's kind.
  [[nodiscard]] const Known* find(const IpAddress& address) const;
  void enter(const IpAddress& address, Known known);
  void forget(const IpAddress& address);

 private:
  struct Key {
    std::uint64_t place = 0;  // Kind of address and region.
    ProfileIndex profile = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  void leave(const Known& known);

  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };

  Regions regions_;
  std::vector<RegionName> names_;  // By place.
  std::vector<Prefix> prefixes_;   // By name.
  Profiles profiles_;
  ProfileIndex no_sets_;
  std::vector<ProfileIndex> of_endpoint_;
  std::vector<Kind> kinds_;
  std::unordered_map<Key, KindIndex, KeyHash> numbers_;
  std::vector<KindIndex> of_region_;  // By name.
  std::unordered_map<IpAddress, Known> known_;
};

AddressKind kind_of(const Endpoint& endpoint);
/// The node that an endpoint stands for or runs on, or kNoEndpoint.
std::uint32_t node_of(const RuleSet& rules, EndpointIndex endpoint);

}  // namespace portcullis::classifier
