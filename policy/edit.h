// SPDX-License-Identifier: MIT
// Edit: one object of a snapshot that shall be added, replaced or removed; Step: some of them in
// the words of whoever asks.
// Thread: plain data, pure functions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "policy/model.h"
#include "policy/snapshot.h"

namespace portcullis::policy {

/// add: it must not be there; set: whether or not it is there; remove: it must be there.
enum class Verb : std::uint8_t { add, set, remove };
enum class Kind : std::uint8_t { pod, policy };

/// Objects of one kind and what shall become of them.
struct Step {
  Kind kind = Kind::pod;
  Verb verb = Verb::set;
  std::vector<Manifest> manifests;  // Of add and set.
  std::vector<std::string> names;   // Of remove: "namespace/name".
};

/// "pod.add", "policy.remove" and the like, and back.
std::optional<std::pair<Kind, Verb>> parse_step(std::string_view text);
std::string to_string(Kind kind, Verb verb);

/// An object's namespace and name.
using ObjectKey = std::pair<std::string, std::string>;

struct Edit {
  Kind kind = Kind::pod;
  Verb verb = Verb::set;
  ObjectKey key;
  std::shared_ptr<const Pod> pod;               // Of a pod that is added or set; never null there.
  std::shared_ptr<const NetworkPolicy> policy;  // Of a policy, likewise.
};

/// "Pod shop/web-0".
std::string title(Kind kind, const ObjectKey& key);

/// What the steps say, in their order; or everything that is wrong with them: what load() refuses,
/// objects of other kinds, and names that are none.
tl::expected<std::vector<Edit>, std::vector<Diagnostic>> edits_of(std::span<const Step> steps);

}  // namespace portcullis::policy
