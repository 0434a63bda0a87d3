// SPDX-License-Identifier: MIT
#include "bench/baselines/tuple_space.h"

#include <algorithm>
#include <array>
#include <map>

#include "bench/baselines/slot_table.h"
#include "bench/measure.h"

namespace portcullis::bench {
namespace {

using classifier::Key4;

/// Which bits of a key a tuple hashes.
struct Mask {
  std::uint32_t src = 0;
  std::uint32_t dst = 0;
  std::uint32_t ports = 0;  // Source port in the upper half; each whole or not at all.
  std::uint8_t protocol = 0;

  friend auto operator<=>(const Mask&, const Mask&) = default;
};

/// The hashed bits of a key, and where the rules of this key lie.
struct Slot {
  std::uint32_t src = 0;
  std::uint32_t dst = 0;
  std::uint32_t ports = 0;
  std::uint32_t first = 0;
  std::uint16_t count = 0;  // 0: unused.
  std::uint8_t protocol = 0;

  [[nodiscard]] bool used() const { return count != 0; }
  [[nodiscard]] std::uint64_t hash() const {
    const std::uint64_t addresses = (std::uint64_t{src} << 32U) | dst;
    return spread(spread(addresses) ^ ((std::uint64_t{ports} << 8U) | protocol));
  }
  [[nodiscard]] bool same_key(const Slot& other) const {
    return src == other.src && dst == other.dst && ports == other.ports &&
           protocol == other.protocol;
  }
};

/// What is left of a rule once its slot is found.
struct Remainder {
  std::uint16_t src_port_first = 0;
  std::uint16_t src_port_last = 0;
  std::uint16_t dst_port_first = 0;
  std::uint16_t dst_port_last = 0;
  std::uint32_t priority = 0;
  std::uint32_t answer = 0;

  [[nodiscard]] bool holds(const Key4& key) const {
    return src_port_first <= key.src_port && key.src_port <= src_port_last &&
           dst_port_first <= key.dst_port && key.dst_port <= dst_port_last;
  }
};

struct Tuple {
  Mask mask;
  std::uint32_t priority_max = 0;
  SlotTable<Slot> slots;
};

std::uint32_t bits_of(const Prefix& prefix) {
  return prefix.length == 0 ? 0 : ~0U << (32U - prefix.length);
}

Mask mask_of(const FilterRule& rule) {
  const bool src_exact = rule.src_port_first == rule.src_port_last;
  const bool dst_exact = rule.dst_port_first == rule.dst_port_last;
  return {.src = bits_of(rule.src),
          .dst = bits_of(rule.dst),
          .ports = (src_exact ? 0xffff'0000U : 0) | (dst_exact ? 0xffffU : 0),
          .protocol = rule.protocol_mask};
}

Slot masked(const Mask& mask, const Key4& key) {
  const std::uint32_t ports = (std::uint32_t{key.src_port} << 16U) | key.dst_port;
  return {.src = key.src & mask.src,
          .dst = key.dst & mask.dst,
          .ports = ports & mask.ports,
          .protocol = static_cast<std::uint8_t>(key.protocol & mask.protocol)};
}

/// The first key that a rule holds.
Key4 first_key(const FilterRule& rule) {
  return {.src = rule.src.address.v4(),
          .dst = rule.dst.address.v4(),
          .src_port = rule.src_port_first,
          .dst_port = rule.dst_port_first,
          .protocol = rule.protocol};
}

/// The tuples of one list.
class Space {
 public:
  /// `rules` in any order.
  explicit Space(const std::vector<const ListedRule*>& rules) {
    std::map<Mask, std::vector<const ListedRule*>> by_mask;
    for (const ListedRule* rule : rules) {
      by_mask[mask_of(rule->rule)].push_back(rule);
    }
    for (auto& [mask, members] : by_mask) {
      add_tuple(mask, members);
    }
    std::ranges::stable_sort(tuples_, std::greater{}, &Tuple::priority_max);
  }

  [[nodiscard]] std::uint32_t search(const Key4& key, std::uint32_t unmatched) const {
    std::uint32_t priority = 0;
    std::uint32_t answer = unmatched;
    for (const Tuple& tuple : tuples_) {
      if (tuple.priority_max <= priority) {
        break;
      }
      const Slot* slot = tuple.slots.find(masked(tuple.mask, key));
      if (slot == nullptr) {
        continue;
      }
      for (std::size_t i = slot->first; i < std::size_t{slot->first} + slot->count; ++i) {
        const Remainder& rule = remainders_[i];
        if (rule.priority <= priority) {
          break;
        }
        if (rule.holds(key)) {
          priority = rule.priority;
          answer = rule.answer;
          break;
        }
      }
    }
    return answer;
  }

  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = remainders_.size() * sizeof(Remainder);
    for (const Tuple& tuple : tuples_) {
      sum += tuple.slots.bytes();
    }
    return sum;
  }

 private:
  void add_tuple(const Mask& mask, std::vector<const ListedRule*>& members) {
    const auto order = [&](const ListedRule* a, const ListedRule* b) {
      const Slot x = masked(mask, first_key(a->rule));
      const Slot y = masked(mask, first_key(b->rule));
      return std::tie(x.src, x.dst, x.ports, x.protocol, b->priority) <
             std::tie(y.src, y.dst, y.ports, y.protocol, a->priority);
    };
    std::ranges::stable_sort(members, order);
    Tuple& tuple = tuples_.emplace_back(Tuple{.mask = mask});
    for (const ListedRule* rule : members) {
      Slot fresh = masked(mask, first_key(rule->rule));
      fresh.first = static_cast<std::uint32_t>(remainders_.size());
      fresh.count = 1;
      Slot& slot = tuple.slots.insert(fresh);
      slot.count = static_cast<std::uint16_t>(remainders_.size() - slot.first + 1);
      tuple.priority_max = std::max(tuple.priority_max, rule->priority);
      remainders_.push_back({.src_port_first = rule->rule.src_port_first,
                             .src_port_last = rule->rule.src_port_last,
                             .dst_port_first = rule->rule.dst_port_first,
                             .dst_port_last = rule->rule.dst_port_last,
                             .priority = rule->priority,
                             .answer = rule->answer});
    }
  }

  std::vector<Tuple> tuples_;
  HugeVector<Remainder> remainders_;
};

class TupleSpace : public Contestant {
 public:
  explicit TupleSpace(const RuleLists& lists)
      : unmatched_(lists.unmatched), rules_(lists.rules.size()) {
    for (std::uint8_t list = 0; list < lists.lists; ++list) {
      std::vector<const ListedRule*> members;
      for (const ListedRule& rule : lists.rules) {
        if (rule.list == list) {
          members.push_back(&rule);
        }
      }
      spaces_.emplace_back(members);
    }
  }

  [[nodiscard]] Facts facts() const override {
    std::size_t bytes = 0;
    for (const Space& space : spaces_) {
      bytes += space.bytes();
    }
    return {.bytes = bytes, .rules = rules_};
  }
  void load(std::span<const Key4> keys) override { keys_ = keys; }
  void classify(std::size_t first, std::size_t count) override {
    for (std::size_t i = 0; i < count; ++i) {
      std::uint32_t all = ~0U;
      for (const Space& space : spaces_) {
        all &= space.search(keys_[first + i], unmatched_);
      }
      answers_[i] = all;
    }
  }
  [[nodiscard]] std::uint32_t answer(std::size_t i) const override { return answers_[i]; }

 private:
  std::uint32_t unmatched_;
  std::size_t rules_;
  std::vector<Space> spaces_;
  std::span<const Key4> keys_;
  std::array<std::uint32_t, kKeysPerCall> answers_{};
};

}  // namespace

Entry make_tuple_space(const RuleLists& lists) {
  const Stopwatch watch;
  auto contestant = std::make_unique<TupleSpace>(lists);
  const double build_ms = watch.milliseconds();
  return {.name = "tuple space", .contestant = std::move(contestant), .build_ms = build_ms};
}

}  // namespace portcullis::bench
