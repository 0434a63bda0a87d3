// SPDX-License-Identifier: MIT
#include "bench/baselines/exact_hash.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <set>

#include <fmt/format.h>

#include "bench/baselines/expand.h"
#include "bench/baselines/slot_table.h"
#include "bench/measure.h"

namespace portcullis::bench {
namespace {

using namespace classifier;

using Identity = std::uint32_t;
constexpr std::uint32_t kNoNode = kNoEndpoint;

/// What a host address or a block of addresses is. Hosts are blocks of 32 bits.
struct AddressSlot {
  std::uint32_t address = 0;
  Identity identity = 0;
  std::uint32_t node = kNoNode;  // Of a pod: where it runs. Of a node: itself.
  std::uint8_t length = 0xff;    // 0xff: unused.
  bool pod = false;

  [[nodiscard]] bool used() const { return length != 0xff; }
  [[nodiscard]] std::uint64_t hash() const {
    return spread((std::uint64_t{length} << 32U) | address);
  }
  [[nodiscard]] bool same_key(const AddressSlot& other) const {
    return address == other.address && length == other.length;
  }
};

/// An allowed tuple: | direction 1 | used 1 | protocol 8 | block bits 5 | port 16 | from bit 30 on.
struct TupleSlot {
  Identity subject = 0;
  Identity peer = 0;
  std::uint32_t rest = 0;  // 0: unused.

  [[nodiscard]] bool used() const { return rest != 0; }
  [[nodiscard]] std::uint64_t hash() const {
    return spread(spread((std::uint64_t{subject} << 32U) | peer) ^ rest);
  }
  [[nodiscard]] bool same_key(const TupleSlot& other) const {
    return subject == other.subject && peer == other.peer && rest == other.rest;
  }
};

constexpr unsigned kEveryPort = 17;  // In place of a block's bits: every protocol and port.

constexpr std::uint32_t rest_of(std::size_t direction,
                                std::uint8_t protocol,
                                unsigned block_bits,
                                std::uint32_t port) {
  const bool every = block_bits == kEveryPort;
  return (static_cast<std::uint32_t>(direction) << 31U) | (1U << 30U) |
         (every ? 0 : std::uint32_t{protocol} << 21U) | (block_bits << 16U) |
         (every ? 0 : (port >> block_bits << block_bits));
}

/// What a direction holds of a subject: whether policies select it, and block sizes to ask for.
struct Subject {
  bool isolated = false;
  std::uint32_t sizes = 0;  // Bit i: blocks of 1 << i ports; bit kEveryPort.
};

/// Gives identities to addresses. The sets that hold an address are its labels.
class Labeller {
 public:
  explicit Labeller(const RuleSet& rules) : rules_(rules), labels_(rules.endpoints.size()) {
    for (EndpointIndex i = 0; i < rules.endpoints.size(); ++i) {
      hosts_.emplace_back(rules.endpoints[i].addresses[0].v4(), i);
    }
    std::ranges::sort(hosts_);
    blocks_[prefix_of(IpAddress::from_v4(0), 0)];
    for (const AddressSet& set : rules.sets) {
      for (const Block& block : set.blocks) {
        blocks_[block.cidr];
        for (const Prefix& except : block.except) {
          blocks_[except];
        }
      }
    }
    for (SetIndex set = 0; set < rules.sets.size(); ++set) {
      label(set);
    }
  }

  /// Calls add(AddressSlot) for each host and block, and fills the identities of each set.
  template <typename Add>
  void each(std::vector<std::vector<Identity>>& members, Add add) {
    members.assign(rules_.sets.size(), {});
    for (EndpointIndex i = 0; i < labels_.size(); ++i) {
      const Endpoint& endpoint = rules_.endpoints[i];
      const bool pod = endpoint.kind == Endpoint::Kind::workload;
      add(AddressSlot{.address = endpoint.addresses[0].v4(),
                      .identity = identity_of(pod ? 1 : 2, labels_[i], members),
                      .node = pod ? endpoint.node : i,
                      .length = 32,
                      .pod = pod});
    }
    for (auto& [prefix, labels] : blocks_) {
      // A host address that is somebody's stays theirs.
      if (prefix.length != 32 || !is_host(prefix.address.v4())) {
        add(AddressSlot{.address = prefix.address.v4(),
                        .identity = identity_of(0, labels, members),
                        .length = prefix.length});
      }
    }
  }
  [[nodiscard]] std::size_t identities() const { return identities_.size(); }

 private:
  using Labels = std::vector<SetIndex>;

  void label(SetIndex set) {
    const auto put = [set](Labels& labels) {
      if (labels.empty() || labels.back() != set) {
        labels.push_back(set);
      }
    };
    for (const EndpointIndex endpoint : rules_.sets[set].endpoints) {
      put(labels_[endpoint]);
    }
    for (const Block& block : rules_.sets[set].blocks) {
      const auto holds = [&](const auto& what) {
        return std::ranges::none_of(block.except,
                                    [&](const Prefix& except) { return except.contains(what); });
      };
      const auto last = std::pair(last_address(block.cidr).v4(), kNoEndpoint);
      for (auto host = std::ranges::lower_bound(
               hosts_, std::pair(block.cidr.address.v4(), EndpointIndex{0}));
           host != hosts_.end() && *host <= last;
           ++host) {
        if (holds(IpAddress::from_v4(host->first))) {
          put(labels_[host->second]);
        }
      }
      for (auto inside = blocks_.lower_bound(block.cidr);
           inside != blocks_.end() && block.cidr.contains(inside->first);
           ++inside) {
        if (holds(inside->first)) {
          put(inside->second);
        }
      }
    }
  }

  Identity identity_of(SetIndex kind, Labels& labels, std::vector<std::vector<Identity>>& members) {
    const Labels held = labels;
    labels.push_back(kind);
    const auto [place, fresh] =
        identities_.emplace(std::move(labels), static_cast<Identity>(identities_.size()));
    if (fresh) {
      for (const SetIndex set : held) {
        members[set].push_back(place->second);
      }
    }
    return place->second;
  }

  [[nodiscard]] bool is_host(std::uint32_t address) const {
    const auto found = std::ranges::lower_bound(hosts_, std::pair(address, EndpointIndex{0}));
    return found != hosts_.end() && found->first == address;
  }

  const RuleSet& rules_;
  std::vector<std::pair<std::uint32_t, EndpointIndex>> hosts_;
  std::vector<Labels> labels_;
  std::map<Prefix, Labels> blocks_;
  std::map<Labels, Identity> identities_;
};

class ExactHash : public Contestant {
 public:
  /// Errors: more tuples than there is memory for.
  Result<void> build(const RuleSet& rules) {
    Labeller labeller(rules);
    std::vector<std::vector<Identity>> members;
    std::set<std::uint8_t, std::greater<>> lengths;
    labeller.each(members, [&](const AddressSlot& slot) {
      addresses_.insert(slot);
      lengths.insert(slot.length);
    });
    lengths_.assign(lengths.begin(), lengths.end());
    identities_ = labeller.identities();
    for (auto& subjects : subjects_) {
      subjects.resize(identities_);
    }
    // A slot is at most twice what a tuple needs, of a power of two, and grows beside its old self.
    constexpr std::size_t kBytesPerTuple = 6 * sizeof(TupleSlot);
    const std::size_t tuples = count_tuples(rules, members);
    if (tuples * kBytesPerTuple > available_bytes()) {
      return fail(fmt::format("{} tuples: more memory than there is", tuples));
    }
    for (const Rule& rule : rules.rules) {
      add_rule(rule, members, rules.port_sets[rule.ports]);
    }
    return {};
  }

  [[nodiscard]] Facts facts() const override {
    return {.bytes = addresses_.bytes() + tuples_.bytes() + 2 * identities_ * sizeof(Subject),
            .rules = tuples_.size(),
            .identities = identities_};
  }
  void load(std::span<const Key4> keys) override { keys_ = keys; }
  void classify(std::size_t first, std::size_t count) override {
    for (std::size_t i = 0; i < count; ++i) {
      const Key4& key = keys_[first + i];
      const AddressSlot& src = slot_of(key.src);
      const AddressSlot& dst = slot_of(key.dst);
      allowed_[i] = allows(0, src, dst, key) && allows(1, dst, src, key);
    }
  }
  [[nodiscard]] std::uint32_t answer(std::size_t i) const override {
    return allowed_[i] ? kAnswerAllow : kAnswerDeny;
  }

 private:
  /// Those that several rules allow are counted several times.
  static std::size_t count_tuples(const RuleSet& rules,
                                  const std::vector<std::vector<Identity>>& members) {
    std::size_t count = 0;
    for (const Rule& rule : rules.rules) {
      std::size_t blocks = rules.port_sets[rule.ports].everything ? 1 : 0;
      for (const PortRange& range : rules.port_sets[rule.ports].ranges) {
        each_block(range, [&](std::uint8_t, unsigned, std::uint32_t) { ++blocks; });
      }
      // Nothing is a member of a set of everything: rules that deny have no tuples.
      count += members[rule.subjects].size() * members[rule.peers].size() * blocks;
    }
    return count;
  }

  void add_rule(const Rule& rule,
                const std::vector<std::vector<Identity>>& members,
                const PortSet& ports) {
    const auto direction = static_cast<std::size_t>(rule.direction);
    for (const Identity subject : members[rule.subjects]) {
      Subject& record = subjects_[direction][subject];
      if (rule.action == Action::deny) {
        record.isolated = true;
        continue;
      }
      for (const Identity peer : members[rule.peers]) {
        TupleSlot slot{.subject = subject, .peer = peer};
        const auto add = [&](std::uint8_t protocol, unsigned bits, std::uint32_t port) {
          slot.rest = rest_of(direction, protocol, bits, port);
          tuples_.insert(slot);
          record.sizes |= 1U << bits;
        };
        if (ports.everything) {
          add(0, kEveryPort, 0);
        }
        for (const PortRange& range : ports.ranges) {
          each_block(range, add);
        }
      }
    }
  }

  /// The aligned blocks of ports that make up a range, largest possible first.
  template <typename Add>
  static void each_block(const PortRange& range, Add add) {
    for (std::uint32_t port = range.first; port <= range.last;) {
      unsigned bits = port == 0 ? 16 : static_cast<unsigned>(std::countr_zero(port));
      while (port + (1U << bits) > range.last + 1U) {
        --bits;
      }
      add(range.protocol, bits, port);
      port += 1U << bits;
    }
  }

  [[nodiscard]] const AddressSlot& slot_of(std::uint32_t address) const {
    for (const std::uint8_t length : lengths_) {
      const std::uint32_t mask = length == 0 ? 0 : ~0U << (32U - length);
      const AddressSlot key{.address = address & mask, .length = length};
      if (const AddressSlot* found = addresses_.find(key)) {
        return *found;
      }
    }
    return outside_;  // Never: the block of length 0 is everywhere.
  }

  [[nodiscard]] bool allows(std::size_t direction,
                            const AddressSlot& subject,
                            const AddressSlot& peer,
                            const Key4& key) const {
    const Subject& record = subjects_[direction][subject.identity];
    if (!subject.pod || !record.isolated || key.src == key.dst ||
        (!peer.pod && peer.node != kNoNode && peer.node == subject.node)) {
      return true;
    }
    TupleSlot slot{.subject = subject.identity, .peer = peer.identity};
    for (std::uint32_t sizes = record.sizes; sizes != 0; sizes &= sizes - 1) {
      const auto bits = static_cast<unsigned>(std::countr_zero(sizes));
      slot.rest = rest_of(direction, key.protocol, bits, key.dst_port);
      if (tuples_.find(slot) != nullptr) {
        return true;
      }
    }
    return false;
  }

  SlotTable<AddressSlot> addresses_;
  SlotTable<TupleSlot> tuples_;
  std::vector<std::uint8_t> lengths_;  // Of blocks, longest first.
  std::array<std::vector<Subject>, 2> subjects_;
  AddressSlot outside_;
  std::size_t identities_ = 0;
  std::span<const Key4> keys_;
  std::array<bool, kKeysPerCall> allowed_{};
};

}  // namespace

Result<Entry> make_exact_hash(const World& world) {
  const Stopwatch watch;
  auto contestant = std::make_unique<ExactHash>();
  PORTCULLIS_TRY_VOID(contestant->build(world.rules));
  const double build_ms = watch.milliseconds();
  return Entry{.name = "identity hash", .contestant = std::move(contestant), .build_ms = build_ms};
}

}  // namespace portcullis::bench
