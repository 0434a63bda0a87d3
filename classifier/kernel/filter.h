// SPDX-License-Identifier: MIT
// The static rules' stage: a burst of keys to the first static rule that matches each.
#pragma once

#include <cstddef>
#include <cstdint>

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
    alignas(64) std::uint32_t src[kMax];       // First the address, then its point.
    alignas(64) std::uint32_t dst[kMax];       //
    alignas(64) std::uint32_t src_port[kMax];  //
    alignas(64) std::uint32_t dst_port[kMax];  // ICMP: type and code.
    alignas(64) std::uint32_t ports[kMax];     // Destination port << 16 | source port.
    alignas(64) std::uint32_t rest[kMax];      // TCP flags << 24 | protocol << 16 | ICMP.
    alignas(64) std::uint32_t port[kMax];      // The port point.
  };

  static void find_points(const FilterView& filter, const Key4* keys, std::size_t n, Points& out) {
    const auto take = [&out](std::size_t at, Lanes src, Lanes dst, Lanes ports, Lanes rest) {
      K::store(out.src + at, src);
      K::store(out.dst + at, dst);
      K::store(out.ports + at, ports);
      K::store(out.rest + at, rest);
    };
    load_burst<K>(keys, n, take);
    find_stretches(filter.src, out.src, n);
    find_stretches(filter.dst, out.dst, n);
  }

  static void find_points(const FilterView& filter, const Key6* keys, std::size_t n, Points& out) {
    for (std::size_t i = 0; i < n; ++i) {
      const Key6& key = keys[i];
      out.src[i] = ClassStage<K>::leaf_v6(filter.src_nodes_v6, key.src);
      out.dst[i] = ClassStage<K>::leaf_v6(filter.dst_nodes_v6, key.dst);
      out.ports[i] = (std::uint32_t{key.dst_port} << 16U) | key.src_port;
      out.rest[i] =
          (std::uint32_t{key.tcp_flags} << 24U) | (std::uint32_t{key.protocol} << 16U) | key.icmp;
    }
    for (std::size_t i = n; i % K::kLanes != 0; ++i) {
      out.src[i] = out.dst[i] = out.ports[i] = out.rest[i] = 0;
    }
  }

  /// Values to their stretches, in place. Lanes past the end are values too.
  static void find_stretches(const FilterView::Search& search,
                             std::uint32_t* values,
                             std::size_t n) {
    // Loops of known length take a third less time.
    switch (search.levels.depth) {
      case 0:
      case 1:
        return search_levels<1>(search, values, n);
      case 2:
        return search_levels<2>(search, values, n);
      case 3:
        return search_levels<3>(search, values, n);
      default:
        return search_levels<LimitSearch::kLevelsMax>(search, values, n);
    }
  }

  /// The root is compared limit by limit with a vector of values, a node with one value at a time;
  /// the searches of several values are under way at once.
  template <std::uint32_t kDepth>
  static void search_levels(const FilterView::Search& search,
                            std::uint32_t* values,
                            std::size_t n) {
    constexpr std::uint32_t kLimits = LimitSearch::kLimits;
    const std::size_t root_limits = std::size_t{search.levels.root_vectors} * kLimits;
    const Lanes bias = K::splat(LimitSearch::kBias);
    alignas(64) std::uint32_t nodes[kMax];
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      const Lanes keys = K::add(K::load(values + i), bias);
      K::store(nodes + i, K::passed(search.limits, root_limits, keys));
      K::store(values + i, kDepth == 1 ? K::load(nodes + i) : keys);
    }
    if constexpr (kDepth > 1) {
      const std::uint32_t* levels[kDepth];
      for (std::uint32_t level = 1; level < kDepth; ++level) {
        levels[level] = search.limits + std::size_t{search.levels.levels[level]} * kLimits;
      }
      const std::uint32_t depth = kDepth < LimitSearch::kLevelsMax ? kDepth : search.levels.depth;
      const std::size_t end = (n + K::kLanes - 1) / K::kLanes * K::kLanes;
      for (std::size_t i = 0; i < end; ++i) {
        std::size_t node = nodes[i];
        for (std::uint32_t level = 1; level < depth; ++level) {
          node = node * (kLimits + 1) + K::passed_of_16(levels[level] + node * kLimits, values[i]);
        }
        values[i] = static_cast<std::uint32_t>(node);
      }
    }
  }

  /// ICMP's type and code take the place of a destination port.
  static Mask is_icmp(Lanes protocol) {
    return K::mask_or(K::equal(protocol, K::splat(kProtocolIcmp)),
                      K::equal(protocol, K::splat(kProtocolIcmpv6)));
  }

  static Lanes protocol_of(Lanes rest) {
    return K::bit_and(K::shift_right(rest, 16), K::splat(0xff));
  }

  static void find_port_points(const FilterView& filter, std::size_t n, Points& points) {
    const Lanes low = K::splat(0xffff);
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      const Lanes ports = K::load(points.ports + i);
      const Lanes rest = K::load(points.rest + i);
      K::store(points.src_port + i, K::bit_and(ports, low));
      K::store(
          points.dst_port + i,
          K::select(is_icmp(protocol_of(rest)), K::bit_and(rest, low), K::shift_right(ports, 16)));
    }
    find_stretches(filter.dst_port, points.dst_port, n);
    if (filter.port_points != nullptr) {
      find_stretches(filter.src_port, points.src_port, n);
    }
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      const Lanes rest = K::load(points.rest + i);
      Lanes row =
          K::add(K::gather(filter.protocols, protocol_of(rest)), K::load(points.dst_port + i));
      if (filter.flags != nullptr) {
        row = K::add(row, K::gather(filter.flags, K::shift_right(rest, 24)));
      }
      Lanes point = K::gather(filter.port_rows, row);
      if (filter.port_points != nullptr) {
        const Lanes at = K::add(point, K::load(points.src_port + i));
        point = K::bit_and(K::gather_bytes(filter.port_points, K::shift_left(at, 1)), low);
      }
      K::store(points.port + i, point);
    }
  }

  /// The least outcome of all products, lane by lane.
  static Lanes first_in_products(const FilterView& filter, const Points& points, std::size_t at) {
    const Lanes src = K::shift_left(K::load(points.src + at), filter.product_shift);
    const Lanes dst = K::shift_left(K::load(points.dst + at), filter.product_shift);
    const Lanes port = K::load(points.port + at);
    Lanes best = K::splat(kNoOutcome);
    for (std::uint32_t i = 0; i < filter.product_count; i += 2) {
      Lanes columns[2];
      Lanes bases[2];
      K::gather_pairs(filter.columns + i, dst, columns[0], columns[1]);
      K::gather_pairs(filter.bases + i, src, bases[0], bases[1]);
      best = least(best, first_in_product(filter, i, bases[0], columns[0], port));
      if (i + 1 < filter.product_count) {
        best = least(best, first_in_product(filter, i + 1, bases[1], columns[1], port));
      }
    }
    return best;
  }

  static Lanes least(Lanes a, Lanes b) { return K::select(K::less(a, b), a, b); }

  static Lanes first_in_product(
      const FilterView& filter, std::uint32_t number, Lanes base, Lanes column, Lanes port) {
    const FilterView::Product& product = filter.products[number];
    const Lanes place = K::add(base, column);
    const Lanes list = product.sparse ? list_of_sparse(product.cells, place, column)
                                      : K::gather(product.cells, place);
    Lanes shape;
    Lanes outcomes;
    K::gather_pairs(filter.lists, K::shift_left(list, 1), shape, outcomes);
    const Lanes at = K::shift_left(K::add(shape, port), filter.shape_shift);
    const Lanes rule = K::bit_and(K::gather_bytes(filter.shapes, at), K::splat(filter.shape_mask));
    return K::gather(filter.outcomes, K::add(outcomes, rule));
  }

  static Lanes list_of_sparse(const std::uint32_t* cells, Lanes place, Lanes asked) {
    Lanes column;
    Lanes list;
    K::gather_pairs(cells, K::shift_left(place, 1), column, list);
    return K::select(K::equal(column, asked), list, K::splat(0));
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
