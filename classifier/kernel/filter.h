// SPDX-License-Identifier: MIT
// The static rules' stage: a burst of keys to the first static rule that matches each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "classifier/kernel/classes.h"
#include "classifier/rule.h"
#include "classifier/verdict.h"

namespace portcullis::classifier {

/// What the static rules say of a burst. Bit i is flow i.
template <Kernel K>
struct FilterAnswers {
  alignas(64) std::uint32_t decisions[limits::kBurstMax];  // Decision bits, where decided.
  std::uint64_t undecided = 0;                             // No rule matches, or it says pass.
};

template <Kernel K>
class FilterStage {
 public:
  /// Shapes: keys[n]; n <= kBurstMax.
  template <typename Key>
  static void run(const FilterView& filter,
                  const Key* keys,
                  std::size_t n,
                  FilterAnswers<K>& answers) {
    Points points;
    find_points(filter, keys, n, points);
    find_port_points(filter, n, points);
    alignas(64) std::uint32_t best[kMax];
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      K::store(best + i, first_in_products(filter, points, i));
    }
    if (filter.tree != nullptr) {
      for (std::size_t i = 0; i < n; ++i) {
        best[i] = first_in_tree(filter, points, i, best[i]);
      }
    }
    decide(filter, best, n, answers);
  }

 private:
  using Lanes = typename K::Lanes;
  using Mask = typename K::Mask;
  static constexpr std::size_t kMax = limits::kBurstMax;

  /// A burst's fields and what they come to. Lanes past the end are keys of zeros.
  struct Points {
    alignas(64) std::uint32_t src[kMax];    // First the address, then its point.
    alignas(64) std::uint32_t dst[kMax];    //
    alignas(64) std::uint32_t ports[kMax];  // Destination port << 16 | source port.
    alignas(64) std::uint32_t rest[kMax];   // TCP flags << 24 | protocol << 16 | ICMP.
    alignas(64) std::uint32_t port[kMax];   // The port point.
  };

  static void find_points(const FilterView& filter, const Key4* keys, std::size_t n, Points& out) {
    std::size_t i = 0;
    for (; i + K::kLanes <= n; i += K::kLanes) {
      load(keys + i, i, out);
    }
    if (i < n) {
      alignas(64) unsigned char room[K::kLanes * sizeof(Key4)] = {};
      std::memcpy(room, keys + i, (n - i) * sizeof(Key4));
      load(reinterpret_cast<const Key4*>(room), i, out);
    }
    addresses_to_points(filter.src, out.src, n);
    addresses_to_points(filter.dst, out.dst, n);
  }

  static void load(const Key4* keys, std::size_t at, Points& out) {
    Lanes src;
    Lanes dst;
    Lanes ports;
    Lanes rest;
    K::load_keys(keys, src, dst, ports, rest);
    K::store(out.src + at, src);
    K::store(out.dst + at, dst);
    K::store(out.ports + at, ports);
    K::store(out.rest + at, rest);
  }

  static void addresses_to_points(const FilterView::AddressMap& map,
                                  std::uint32_t* addresses,
                                  std::size_t n) {
    if (map.search.depth == 0) {
      for (std::size_t i = 0; i < n; i += K::kLanes) {
        K::store(addresses + i, leaf_of(map, K::load(addresses + i)));
      }
      return;
    }
    for (std::size_t i = 0; i < n; ++i) {
      addresses[i] = rank_of(map, addresses[i]);
    }
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      K::store(addresses + i, K::gather(map.ranks_v4, K::load(addresses + i)));
    }
  }

  static std::uint32_t rank_of(const FilterView::AddressMap& map, std::uint32_t address) {
    const std::uint32_t key = address - AddressSearch::kBias;
    std::uint32_t node = 0;
    for (std::uint32_t level = 0; level < map.search.depth; ++level) {
      const std::size_t at = std::size_t{map.search.levels[level]} + node;
      const std::uint32_t* limits = map.limits_v4 + at * AddressSearch::kLimits;
      node = node * (AddressSearch::kLimits + 1) + K::passed_of_16(limits, key);
    }
    return node;
  }

  static Lanes leaf_of(const FilterView::AddressMap& map, Lanes address) {
    Lanes entry = K::gather(map.root_v4, K::shift_right(address, 16));
    for (const unsigned shift : {8U, 0U}) {
      const Mask child = K::any(entry, K::splat(kChild));
      const Lanes octet = K::bit_and(K::shift_right(address, shift), K::splat(0xff));
      const Lanes index = K::select(child, K::add(K::shift_left(entry, 8), octet), K::splat(0));
      entry = K::select(child, K::gather(map.nodes_v4, index), entry);
    }
    return entry;
  }

  static void find_points(const FilterView& filter, const Key6* keys, std::size_t n, Points& out) {
    for (std::size_t i = 0; i < n; ++i) {
      const Key6& key = keys[i];
      out.src[i] = ClassStage<K>::leaf_v6(filter.src.nodes_v6, key.src);
      out.dst[i] = ClassStage<K>::leaf_v6(filter.dst.nodes_v6, key.dst);
      out.ports[i] = (std::uint32_t{key.dst_port} << 16U) | key.src_port;
      out.rest[i] =
          (std::uint32_t{key.tcp_flags} << 24U) | (std::uint32_t{key.protocol} << 16U) | key.icmp;
    }
    for (std::size_t i = n; i % K::kLanes != 0; ++i) {
      out.src[i] = out.dst[i] = out.ports[i] = out.rest[i] = 0;
    }
  }

  /// ICMP's type and code take the place of a destination port.
  static Mask is_icmp(Lanes protocol) {
    return K::mask_or(K::equal(protocol, K::splat(kProtocolIcmp)),
                      K::equal(protocol, K::splat(kProtocolIcmpv6)));
  }

  static void find_port_points(const FilterView& filter, std::size_t n, Points& points) {
    const Lanes low = K::splat(0xffff);
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      const Lanes ports = K::load(points.ports + i);
      const Lanes rest = K::load(points.rest + i);
      const Lanes protocol = K::bit_and(K::shift_right(rest, 16), K::splat(0xff));
      const Lanes port =
          K::select(is_icmp(protocol), K::bit_and(rest, low), K::shift_right(ports, 16));
      Lanes row = K::add(K::gather(filter.protocols, protocol), gather16(filter.dst_ports, port));
      if (filter.flags != nullptr) {
        row = K::add(row, K::gather(filter.flags, K::shift_right(rest, 24)));
      }
      Lanes point = K::gather(filter.port_rows, row);
      if (filter.src_ports != nullptr) {
        const Lanes src_port = gather16(filter.src_ports, K::bit_and(ports, low));
        point = gather16(filter.port_points, K::add(point, src_port));
      }
      K::store(points.port + i, point);
    }
  }

  static Lanes gather16(const std::uint8_t* numbers, Lanes index) {
    return K::bit_and(K::gather_bytes(numbers, K::shift_left(index, 1)), K::splat(0xffff));
  }

  /// The least outcome of all products, lane by lane.
  static Lanes first_in_products(const FilterView& filter, const Points& points, std::size_t at) {
    static_assert(kProductsMax == 4, "a shift finds a point's words");
    const Lanes src = K::shift_left(K::load(points.src + at), 2);
    const Lanes dst = K::shift_left(K::load(points.dst + at), 2);
    const Lanes port = K::load(points.port + at);
    Lanes best = K::splat(kNoOutcome);
    for (std::uint32_t i = 0; i < filter.product_count; ++i) {
      const FilterView::Product& product = filter.products[i];
      const Lanes column = K::gather(filter.columns + i, dst);
      const Lanes place = K::add(K::gather(filter.bases + i, src), column);
      const Lanes list = product.sparse ? list_of_sparse(product.cells, place, column)
                                        : K::gather(product.cells, place);
      const Lanes record = K::shift_left(list, 1);
      const Lanes shape = K::add(K::gather(filter.lists, record), port);
      const Lanes number =
          K::bit_and(K::gather_bytes(filter.shapes, K::shift_left(shape, filter.shape_shift)),
                     K::splat(filter.shape_mask));
      const Lanes outcome =
          K::gather(filter.outcomes, K::add(K::gather(filter.lists + 1, record), number));
      best = K::select(K::less(outcome, best), outcome, best);
    }
    return best;
  }

  static Lanes list_of_sparse(const std::uint32_t* cells, Lanes place, Lanes column) {
    const Lanes word = K::shift_left(place, 1);
    const Mask own = K::equal(K::gather(cells, word), column);
    return K::select(own, K::gather(cells + 1, word), K::splat(0));
  }

  /// Few rules are here, so key by key will do.
  static std::uint32_t first_in_tree(const FilterView& filter,
                                     const Points& points,
                                     std::size_t i,
                                     std::uint32_t best) {
    const TreeNode* node = filter.tree;
    while (node->field != TreeNode::kLeaf) {
      const std::uint32_t point = node->field == 0 ? points.src[i] : points.dst[i];
      node = filter.tree + node->below + (point < node->split ? 0 : 1);
    }
    const RuleBlock* block = filter.leaves + node->below;
    for (std::uint32_t left = node->blocks; left != 0 && block->outcome[0] < best;
         --left, ++block) {
      const std::uint32_t found = first_in_block(*block, points, i);
      best = found < best ? found : best;
    }
    return best;
  }

  static std::uint32_t first_in_block(const RuleBlock& block, const Points& points, std::size_t i) {
    const std::uint32_t kind = ((points.rest[i] >> 8U) & 0xff00U) | (points.rest[i] >> 24U);
    std::uint32_t best = kNoOutcome;
    for (std::size_t k = 0; k < RuleBlock::kRules; ++k) {
      const bool fits = in_range(block.src, k, points.src[i]) &&
                        in_range(block.dst, k, points.dst[i]) &&
                        in_range(block.src_port, k, points.ports[i] & 0xffffU) &&
                        in_range(block.dst_port, k, points.ports[i] >> 16U) &&
                        in_range(block.icmp, k, points.rest[i] & 0xffffU) &&
                        (kind & block.kind.mask[k]) == block.kind.value[k];
      best = fits && block.outcome[k] < best ? block.outcome[k] : best;
    }
    return best;
  }

  static bool in_range(const RuleBlock::Range& range, std::size_t k, std::uint32_t value) {
    return value - range.first[k] <= range.span[k];
  }

  static void decide(const FilterView& filter,
                     const std::uint32_t* best,
                     std::size_t n,
                     FilterAnswers<K>& answers) {
    static_assert(static_cast<int>(Action::allow) == 0 && static_cast<int>(Action::pass) == 2);
    answers.undecided = 0;
    const Lanes pass = K::splat(static_cast<std::uint32_t>(Action::pass));
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      const Lanes outcome = K::load(best + i);
      const Lanes rule =
          K::add(K::shift_right(outcome, kOutcomeRuleShift), K::splat(filter.first_id));
      const Mask refuses = K::any(outcome, K::splat(kOutcomeAction));
      const Lanes allowed = K::select(refuses, K::splat(0), K::splat(Decision::kAllowed));
      K::store(answers.decisions + i, K::add(rule, allowed));
      answers.undecided |= std::uint64_t{K::bits_of(K::any(outcome, pass))} << i;
    }
    answers.undecided &= KeyBurst<K>::bits(n);
  }
};

}  // namespace portcullis::classifier
