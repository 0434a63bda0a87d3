// SPDX-License-Identifier: MIT
// digest() and objects(): names of a snapshot's content, whole and by object.
#include "base/digest.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "policy/snapshot.h"

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

template <typename Thing>
std::string digest_of(const Thing& object) {
  Writer one;
  one.add(object);
  return one.finish();
}

/// Digests of the single objects, sorted: the order of objects is no content.
template <typename Thing>
void add_unordered(Writer& all, const std::vector<Thing>& objects) {
  std::vector<std::string> names;
  names.reserve(objects.size());
  for (const Thing& object : objects) {
    names.push_back(digest_of(object));
  }
  std::sort(names.begin(), names.end());
  all.add(names);
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
void list(std::vector<Object>& all, const char* kind, const std::vector<Thing>& things) {
  const auto first = static_cast<std::ptrdiff_t>(all.size());
  for (const Thing& thing : things) {
    all.push_back(
        {.kind = kind, .name = full_name(thing), .where = thing.where, .digest = digest_of(thing)});
  }
  std::sort(all.begin() + first, all.end(), [](const Object& a, const Object& b) {
    return a.name < b.name;
  });
}

}  // namespace

std::string digest(const Snapshot& snapshot) {
  Writer all;
  add_unordered(all, snapshot.namespaces);
  add_unordered(all, snapshot.pods);
  add_unordered(all, snapshot.nodes);
  add_unordered(all, snapshot.policies);
  return all.finish();
}

std::vector<Object> objects(const Snapshot& snapshot) {
  std::vector<Object> all;
  list(all, "Namespace", snapshot.namespaces);
  list(all, "NetworkPolicy", snapshot.policies);
  list(all, "Node", snapshot.nodes);
  list(all, "Pod", snapshot.pods);
  return all;
}

}  // namespace portcullis::policy
