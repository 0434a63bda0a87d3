// SPDX-License-Identifier: MIT
#include "control/change/past.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "control/params.h"
#include "control/status.h"
#include "policy/difference.h"
#include "policy/world.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

/// Objects that an answer names.
constexpr std::size_t kObjectsShown = 10'000;

json to_json(const policy::Object& object) {
  return {{"kind", object.kind},
          {"name", object.name},
          {"file", object.where.file},
          {"line", object.where.line}};
}

/// How many of a list an answer holds.
std::size_t shown(const auto& list) {
  return std::min(list.size(), kObjectsShown);
}

}  // namespace

Result<Revision> Past::running_or(std::optional<std::uint64_t> number) const {
  if (!number && !reconcile_.history().empty()) {
    return reconcile_.history().back();
  }
  PORTCULLIS_TRY(const Revision* found, reconcile_.find(number));
  return *found;
}

Result<std::shared_ptr<const policy::Snapshot>> Past::snapshot_of(const Revision& revision) const {
  if (revision.world) {
    return revision.world->snapshot();
  }
  PORTCULLIS_TRY(const Archive::Content content, archive_->content(revision.number));
  policy::Loaded loaded = policy::load(content.manifests, content.steps);
  if (!loaded.ok()) {
    return fail(fmt::format("revision {} can no longer be read", revision.number));
  }
  return std::make_shared<const policy::Snapshot>(std::move(loaded.snapshot));
}

void Past::show(std::optional<std::uint64_t> number, Done done) const {
  const auto revision = running_or(number);
  if (!revision) {
    return done(refuse(RpcCode::unknown_revision, revision.error().message));
  }
  auto listed = std::make_shared<Result<std::vector<policy::Object>>>();
  const auto list = [this, listed, revision = *revision] {
    *listed = snapshot_of(revision).map([](const auto& found) { return policy::objects(*found); });
  };
  lane_.run(list, [listed, revision = *revision, done = std::move(done)] {
    if (!*listed) {
      return done(refuse(RpcCode::unknown_revision, to_string(listed->error())));
    }
    json result = to_json(revision);
    result["objects_total"] = (*listed)->size();
    json& objects = result["objects"] = json::array();
    for (const policy::Object& object : std::span(**listed).first(shown(**listed))) {
      objects.push_back(to_json(object));
    }
    done(std::move(result));
  });
}

void Past::diff(std::optional<std::uint64_t> from,
                std::optional<std::uint64_t> to,
                Done done) const {
  const auto after = running_or(to);
  const auto before = reconcile_.find(from);
  if (!after || !before) {
    return done(
        refuse(RpcCode::unknown_revision, (after ? before.error() : after.error()).message));
  }
  struct Diff {
    Revision before;
    Revision after;
    Result<std::vector<policy::ObjectChange>> changes;
  };
  auto diff = std::make_shared<Diff>(Diff{.before = **before, .after = *after});
  const auto compare = [this, diff]() -> Result<std::vector<policy::ObjectChange>> {
    PORTCULLIS_TRY(const auto left, snapshot_of(diff->before));
    PORTCULLIS_TRY(const auto right, snapshot_of(diff->after));
    return policy::difference(*left, *right);
  };
  lane_.run([diff, compare] { diff->changes = compare(); },
            [diff, done = std::move(done)] {
              if (!diff->changes) {
                return done(refuse(RpcCode::unknown_revision, to_string(diff->changes.error())));
              }
              json result = {{"from", diff->before.number},
                             {"to", diff->after.number},
                             {"changes_total", diff->changes->size()},
                             {"changes", json::array()}};
              for (const auto& change : std::span(*diff->changes).first(shown(*diff->changes))) {
                json one = to_json(change.object);
                one["change"] = policy::to_string(change.kind);
                result["changes"].push_back(std::move(one));
              }
              done(std::move(result));
            });
}

}  // namespace portcullis::control
