// SPDX-License-Identifier: MIT
// Names of a snapshot's content: of the whole, of single objects, and while they change.
#include "policy/digest.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/digest.h"

namespace portcullis::policy {
namespace {

/// Writes objects into a digest, field by field.
class Writer {
 public:
  void add(const IpAddress& address) {
    digest_.add(static_cast<std::uint64_t>(address.family));
    digest_.add(std::as_bytes(std::span(address.bytes)));
  }

  void add(const Prefix& prefix) {
    add(prefix.address);
    digest_.add(std::uint64_t{prefix.length});
  }

  void add(const std::string& text) { digest_.add(std::string_view(text)); }

  void add(const std::pair<std::string, std::string>& label) {
    add(label.first);
    add(label.second);
  }

  void add(const ContainerPort& port) {
    add(port.name);
    digest_.add(std::uint64_t{port.protocol}).add(std::uint64_t{port.number});
  }

  template <typename Item>
  void add(const std::vector<Item>& items) {
    digest_.add(std::uint64_t{items.size()});
    for (const Item& item : items) {
      add(item);
    }
  }

  void add(const Requirement& requirement) {
    add(requirement.key);
    digest_.add(static_cast<std::uint64_t>(requirement.op));
    add(requirement.values);
  }

  void add(const Selector& selector) { add(selector.requirements); }

  void add(const Peer& peer) {
    digest_.add(std::uint64_t{peer.index()});
    if (const auto* block = std::get_if<classifier::Block>(&peer)) {
      add(block->cidr);
      add(block->except);
      return;
    }
    const auto& pods = std::get<PodPeer>(peer);
    digest_.add(std::uint64_t{pods.namespaces.has_value()});
    add(pods.namespaces.value_or(Selector{}));
    add(pods.pods);
  }

  void add(const PolicyPort& port) {
    // One more than the number, so that none differs from port 0.
    const auto optional = [](const std::optional<std::uint16_t>& number) {
      return number ? std::uint64_t{*number} + 1 : std::uint64_t{0};
    };
    digest_.add(std::uint64_t{port.protocol});
    add(port.name);
    digest_.add(optional(port.first)).add(optional(port.last));
  }

  void add(const PolicyRule& rule) {
    add(rule.peers);
    add(rule.ports);
  }

  void add(const Namespace& object) {
    add(object.name);
    add(object.labels);
  }

  void add(const Node& object) {
    add(object.name);
    add(object.labels);
    add(object.addresses);
    add(object.pod_cidrs);
  }

  void add(const Pod& object) {
    add(object.name_space);
    add(object.name);
    add(object.labels);
    add(object.node);
    digest_.add(std::uint64_t{object.host_network}).add(std::uint64_t{object.terminated});
    add(object.addresses);
    add(object.host_addresses);
    add(object.ports);
  }

  void add(const NetworkPolicy& object) {
    add(object.name_space);
    add(object.name);
    add(object.subjects);
    digest_.add(std::uint64_t{object.isolates_ingress}).add(std::uint64_t{object.isolates_egress});
    add(object.ingress);
    add(object.egress);
  }

  [[nodiscard]] std::string finish() { return digest_.finish(); }

 private:
  Digest digest_;
};

// Kinds, so that objects of two kinds with equal fields differ.
const char* kind_of(const Namespace& /*object*/) {
  return "Namespace";
}
const char* kind_of(const Node& /*object*/) {
  return "Node";
}
const char* kind_of(const Pod& /*object*/) {
  return "Pod";
}
const char* kind_of(const NetworkPolicy& /*object*/) {
  return "NetworkPolicy";
}

template <typename Thing>
std::string digest_of(const Thing& object) {
  Writer one;
  one.add(std::string(kind_of(object)));
  one.add(object);
  return one.finish();
}

/// Of digests, in their order; of none at all, nothing: most of a small tree is empty.
std::string digest_of_all(std::span<const std::string> digests) {
  if (std::ranges::all_of(digests, &std::string::empty)) {
    return {};
  }
  Digest all;
  for (const std::string& digest : digests) {
    all.add(std::string_view(digest));
  }
  return all.finish();
}

/// The first bits of an object's digest. REQUIRES: `digest` is one.
std::size_t leaf_of(const std::string& digest) {
  static_assert(ContentDigest::kLeaves == 4096);  // Three hexadecimal digits.
  std::size_t leaf = 0;
  for (const char digit : std::string_view(digest).substr(0, 3)) {
    leaf = leaf * 16 + static_cast<std::size_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return leaf;
}

std::string full_name(const Namespace& object) {
  return object.name;
}
std::string full_name(const Node& object) {
  return object.name;
}
template <typename Thing>
std::string full_name(const Thing& object) {
  return object.name_space + "/" + object.name;
}

template <typename Thing>
void list(std::vector<Object>& all, const std::vector<Thing>& things) {
  const auto first = static_cast<std::ptrdiff_t>(all.size());
  for (const Thing& thing : things) {
    all.push_back({.kind = kind_of(thing),
                   .name = full_name(thing),
                   .where = thing.where,
                   .digest = digest_of(thing)});
  }
  std::sort(all.begin() + first, all.end(), [](const Object& a, const Object& b) {
    return a.name < b.name;
  });
}

}  // namespace

ContentDigest::ContentDigest(const Snapshot& snapshot)
    : leaves_(kLeaves), leaf_digests_(kLeaves), branch_digests_(kBranches), stale_(kLeaves) {
  const auto take = [&](const auto& objects) {
    for (const auto& object : objects) {
      insert(digest_of(object));
    }
  };
  take(snapshot.namespaces);
  take(snapshot.pods);
  take(snapshot.nodes);
  take(snapshot.policies);
}

void ContentDigest::add(const Pod& pod) {
  insert(digest_of(pod));
}
void ContentDigest::add(const NetworkPolicy& policy) {
  insert(digest_of(policy));
}
void ContentDigest::remove(const Pod& pod) {
  erase(digest_of(pod));
}
void ContentDigest::remove(const NetworkPolicy& policy) {
  erase(digest_of(policy));
}

void ContentDigest::insert(std::string digest) {
  const std::size_t leaf = leaf_of(digest);
  leaves_[leaf].push_back(std::move(digest));
  stale_[leaf] = true;
}

void ContentDigest::erase(const std::string& digest) {
  const std::size_t leaf = leaf_of(digest);
  const auto found = std::find(leaves_[leaf].begin(), leaves_[leaf].end(), digest);
  PORTCULLIS_CHECK(found != leaves_[leaf].end());
  leaves_[leaf].erase(found);
  stale_[leaf] = true;
}

std::string ContentDigest::text() {
  constexpr std::size_t kWidth = kLeaves / kBranches;
  for (std::size_t branch = 0; branch < kBranches; ++branch) {
    bool changed = false;
    for (std::size_t leaf = branch * kWidth; leaf < (branch + 1) * kWidth; ++leaf) {
      if (stale_[leaf]) {
        // The order of objects is no content.
        std::sort(leaves_[leaf].begin(), leaves_[leaf].end());
        leaf_digests_[leaf] = digest_of_all(leaves_[leaf]);
        stale_[leaf] = false;
        changed = true;
      }
    }
    if (changed) {
      branch_digests_[branch] =
          digest_of_all(std::span(leaf_digests_).subspan(branch * kWidth, kWidth));
    }
  }
  Digest root;
  for (const std::string& branch : branch_digests_) {
    root.add(std::string_view(branch));
  }
  return root.finish();
}

std::string digest(const Snapshot& snapshot) {
  return ContentDigest(snapshot).text();
}

std::string digest(const NetworkPolicy& policy) {
  return digest_of(policy);
}

std::vector<Object> objects(const Snapshot& snapshot) {
  std::vector<Object> all;
  list(all, snapshot.namespaces);
  list(all, snapshot.policies);
  list(all, snapshot.nodes);
  list(all, snapshot.pods);
  return all;
}

}  // namespace portcullis::policy
