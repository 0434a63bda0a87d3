// SPDX-License-Identifier: MIT
#include "policy/world.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace portcullis::policy {
namespace {

const std::vector<Pod>& list_of(const Snapshot& snapshot, const Pod* /*kind*/) {
  return snapshot.pods;
}
const std::vector<NetworkPolicy>& list_of(const Snapshot& snapshot, const NetworkPolicy* /*kind*/) {
  return snapshot.policies;
}
const std::shared_ptr<const Pod>& object_of(const Edit& edit, const Pod* /*kind*/) {
  return edit.pod;
}
const std::shared_ptr<const NetworkPolicy>& object_of(const Edit& edit,
                                                      const NetworkPolicy* /*kind*/) {
  return edit.policy;
}

/// The object of a snapshot, which stays alive with it; null: there is none.
template <typename Thing>
std::shared_ptr<const Thing> find(const std::shared_ptr<const Snapshot>& snapshot,
                                  const ObjectKey& key) {
  const std::vector<Thing>& list = list_of(*snapshot, static_cast<const Thing*>(nullptr));
  const auto found = std::lower_bound(
      list.begin(), list.end(), key, [](const Thing& object, const ObjectKey& wanted) {
        return std::tie(object.name_space, object.name) < std::tie(wanted.first, wanted.second);
      });
  if (found == list.end() || found->name_space != key.first || found->name != key.second) {
    return nullptr;
  }
  return {snapshot, &*found};
}

/// Puts one edit into an overlay and notes what it replaced. Errors: World::apply()'s.
template <typename Thing, typename Overlay>
Result<void> put(const std::shared_ptr<const Snapshot>& base,
                 Overlay& overlay,
                 const Edit& edit,
                 Strictness strictness,
                 std::vector<Replaced<Thing>>& replaced) {
  const auto changed = overlay.find(edit.key);
  std::shared_ptr<const Thing> before =
      changed == overlay.end() ? find<Thing>(base, edit.key) : changed->second;
  if (strictness == Strictness::strict && edit.verb == Verb::add && before) {
    return fail(fmt::format("{} is there already: {} replaces it",
                            title(edit.kind, edit.key),
                            to_string(edit.kind, Verb::set)),
                to_string(object_of(edit, static_cast<const Thing*>(nullptr))->where));
  }
  if (strictness == Strictness::strict && edit.verb == Verb::remove && !before) {
    return fail(fmt::format("there is no {}", title(edit.kind, edit.key)));
  }
  std::shared_ptr<const Thing> after = object_of(edit, static_cast<const Thing*>(nullptr));
  if (after || find<Thing>(base, edit.key)) {
    overlay.insert_or_assign(edit.key, after);
  } else {
    overlay.erase(edit.key);
  }
  replaced.push_back({edit.key, std::move(before), std::move(after)});
  return {};
}

/// Each object once: as it was ahead of the first change and is after the last.
template <typename Thing>
void merge(std::vector<Replaced<Thing>>& replaced) {
  std::stable_sort(
      replaced.begin(), replaced.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  std::vector<Replaced<Thing>> merged;
  for (Replaced<Thing>& one : replaced) {
    if (!merged.empty() && merged.back().key == one.key) {
      merged.back().after = std::move(one.after);
    } else {
      merged.push_back(std::move(one));
    }
  }
  std::erase_if(merged, [](const auto& one) { return one.before == one.after; });
  replaced = std::move(merged);
}

/// Later changes first.
template <typename Thing, typename Overlay>
void put_back(Overlay& overlay, const std::vector<Replaced<Thing>>& replaced) {
  for (auto one = replaced.rbegin(); one != replaced.rend(); ++one) {
    overlay.insert_or_assign(one->key, one->before);
  }
}

template <typename Thing>
std::ptrdiff_t growth(const std::vector<Replaced<Thing>>& replaced) {
  std::ptrdiff_t more = 0;
  for (const Replaced<Thing>& one : replaced) {
    more += static_cast<std::ptrdiff_t>(one.after != nullptr) -
            static_cast<std::ptrdiff_t>(one.before != nullptr);
  }
  return more;
}

/// Both are in order of their keys.
template <typename Thing, typename Overlay>
void overlay_list(std::vector<Thing>& list, const Overlay& overlay) {
  std::vector<Thing> joined;
  joined.reserve(list.size() + overlay.size());
  auto kept = list.begin();
  for (const auto& [key, object] : overlay) {
    while (kept != list.end() &&
           std::tie(kept->name_space, kept->name) < std::tie(key.first, key.second)) {
      joined.push_back(std::move(*kept++));
    }
    if (kept != list.end() && kept->name_space == key.first && kept->name == key.second) {
      ++kept;
    }
    if (object) {
      joined.push_back(*object);
    }
  }
  std::move(kept, list.end(), std::back_inserter(joined));
  list = std::move(joined);
}

}  // namespace

Result<Changed> World::apply(std::span<const Edit> edits, Strictness strictness) {
  Changed changed;
  for (const Edit& edit : edits) {
    const auto done = edit.kind == Kind::pod
                          ? put(base_, pods_, edit, strictness, changed.pods)
                          : put(base_, policies_, edit, strictness, changed.policies);
    if (!done) {
      put_back(pods_, changed.pods);
      put_back(policies_, changed.policies);
      return tl::unexpected(done.error());
    }
  }
  merge(changed.pods);
  merge(changed.policies);
  pods_more_ += growth(changed.pods);
  policies_more_ += growth(changed.policies);
  return changed;
}

void World::take_back(const Changed& changed) {
  put_back(pods_, changed.pods);
  put_back(policies_, changed.policies);
  pods_more_ -= growth(changed.pods);
  policies_more_ -= growth(changed.policies);
}

std::size_t World::pods() const {
  return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(base_->pods.size()) + pods_more_);
}

std::size_t World::policies() const {
  return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(base_->policies.size()) +
                                  policies_more_);
}

std::shared_ptr<const Snapshot> World::snapshot() const {
  if (pods_.empty() && policies_.empty()) {
    return base_;
  }
  auto whole = std::make_shared<Snapshot>(*base_);
  overlay_list(whole->pods, pods_);
  overlay_list(whole->policies, policies_);
  return whole;
}

Loaded load(std::span<const Manifest> manifests, std::span<const Step> steps) {
  Loaded loaded = load(manifests);
  if (steps.empty() || !loaded.ok()) {
    return loaded;
  }
  const auto edits = edits_of(steps);
  if (!edits) {
    const std::vector<Diagnostic>& wrong = edits.error();
    loaded.diagnostics.insert(loaded.diagnostics.end(), wrong.begin(), wrong.end());
    return loaded;
  }
  World world(std::make_shared<const Snapshot>(std::move(loaded.snapshot)));
  PORTCULLIS_CHECK(world.apply(*edits, Strictness::lenient));
  loaded.snapshot = *world.snapshot();
  return loaded;
}

}  // namespace portcullis::policy
