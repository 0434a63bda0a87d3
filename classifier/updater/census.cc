// SPDX-License-Identifier: MIT
#include "classifier/updater/census.h"

#include <utility>

#include "base/check.h"

namespace portcullis::classifier {

std::size_t Census::KeyHash::operator()(const Key& key) const noexcept {
  return static_cast<std::size_t>(
      (key.place * 0xff51'afd7'ed55'8ccdULL ^ key.profile) * 0x9e37'79b9'7f4a'7c15ULL >> 16U);
}

Census::Census(const RuleSet& rules, const Classes& classes)
    : regions_(classes.regions), no_sets_(profiles_.intern({})) {
  of_endpoint_ = profiles_of(rules, profiles_);
  for (RegionName region = 0; region < regions_.all().size(); ++region) {
    names_.push_back(region);
    prefixes_.push_back(regions_.all()[region].prefix);
    of_region_.push_back(intern(AddressKind::other, region, no_sets_));
    set_class(of_region_.back(), classes.region_classes[region]);
  }
  known_.reserve(classes.addresses.size());
  for (const KnownAddress& known : classes.addresses) {
    const KindIndex kind = intern(kind_of(rules.endpoints[known.endpoint]),
                                  locate(known.address),
                                  of_endpoint_[known.endpoint]);
    set_class(kind, known.address_class);
    enter(known.address, {.endpoint = known.endpoint, .kind = kind});
  }
}

ProfileIndex Census::profile_of(EndpointIndex endpoint) const {
  return endpoint < of_endpoint_.size() ? of_endpoint_[endpoint] : no_sets_;
}

void Census::set_profile(EndpointIndex endpoint, ProfileIndex profile) {
  if (endpoint >= of_endpoint_.size()) {
    of_endpoint_.resize(endpoint + std::size_t{1}, no_sets_);
  }
  of_endpoint_[endpoint] = profile;
}

RegionName Census::locate(const IpAddress& address) const {
  return names_[regions_.locate(address)];
}

std::vector<RegionName> Census::inside(std::span<const Block> blocks) const {
  std::vector<RegionName> names;
  for (const auto& [first, last] : regions_.inside(blocks)) {
    names.insert(names.end(), names_.begin() + first, names_.begin() + last);
  }
  return names;
}

std::vector<RegionName> Census::nested(RegionName region) const {
  const Block block{.cidr = prefixes_[region]};
  return inside(std::span(&block, 1));
}

std::vector<Census::Cut> Census::cut(std::vector<Prefix> prefixes) {
  prefixes.insert(prefixes.end(), prefixes_.begin(), prefixes_.end());
  const std::vector<RegionName> old_names = std::exchange(names_, {});
  auto old_name = old_names.begin();
  regions_ = Regions(std::move(prefixes));
  std::vector<Cut> cuts;
  for (const Regions::Region& region : regions_.all()) {
    if (old_name != old_names.end() && prefixes_[*old_name] == region.prefix) {
      names_.push_back(*old_name++);
      continue;
    }
    const Cut cut{.region = static_cast<RegionName>(prefixes_.size()),
                  .parent = names_[region.parent]};
    names_.push_back(cut.region);
    prefixes_.push_back(region.prefix);
    of_region_.push_back(intern(AddressKind::other, cut.region, no_sets_));
    set_class(of_region_.back(), kinds_[of_region_[cut.parent]].address_class);
    cuts.push_back(cut);
  }
  return cuts;
}

KindIndex Census::intern(AddressKind address_kind, RegionName region, ProfileIndex profile) {
  const auto place = (std::uint64_t{region} << 8U) | static_cast<std::uint64_t>(address_kind);
  const auto next = static_cast<KindIndex>(kinds_.size());
  const auto [known, added] = numbers_.emplace(Key{.place = place, .profile = profile}, next);
  if (added) {
    kinds_.push_back({.address_kind = address_kind, .region = region, .profile = profile});
  }
  return known->second;
}

void Census::set_class(KindIndex kind, std::uint32_t address_class) {
  kinds_[kind].address_class = address_class;
}

const Census::Known* Census::find(const IpAddress& address) const {
  const auto found = known_.find(address);
  return found == known_.end() ? nullptr : &found->second;
}

void Census::enter(const IpAddress& address, Known known) {
  const auto [at, added] = known_.try_emplace(address);
  if (!added) {
    leave(at->second);
  }
  known.slot = static_cast<std::uint32_t>(kinds_[known.kind].addresses.size());
  kinds_[known.kind].addresses.push_back(address);
  at->second = known;
}

void Census::forget(const IpAddress& address) {
  const auto found = known_.find(address);
  PORTCULLIS_CHECK(found != known_.end());
  if (address.family == Family::v6) {
    const RegionName region = kinds_[found->second.kind].region;
    enter(address, {.kind = of_region_[region]});
    return;
  }
  leave(found->second);
  known_.erase(found);
}

/// The last address of the kind takes the place of the one that leaves.
void Census::leave(const Known& known) {
  std::vector<IpAddress>& addresses = kinds_[known.kind].addresses;
  const IpAddress last = addresses.back();
  addresses[known.slot] = last;
  addresses.pop_back();
  known_.find(last)->second.slot = known.slot;
}

AddressKind kind_of(const Endpoint& endpoint) {
  return endpoint.kind == Endpoint::Kind::workload ? AddressKind::workload : AddressKind::node;
}

std::uint32_t node_of(const RuleSet& rules, EndpointIndex endpoint) {
  return rules.endpoints[endpoint].kind == Endpoint::Kind::node ? endpoint
                                                                : rules.endpoints[endpoint].node;
}

}  // namespace portcullis::classifier
