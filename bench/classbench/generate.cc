// SPDX-License-Identifier: MIT
// Generates filter sets as ClassBench's paper describes them: what is drawn jointly (prefix
// lengths; protocol and port classes) and how addresses nest (a binary tree that branches with some
// probability and whose halves are of unequal weight).
#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "bench/classbench/filters.h"

namespace portcullis::bench {
namespace {

/// The paper's classes of port ranges: any, 1024 and up, below 1024, some other range, one port.
enum class PortClass : std::uint8_t { wc, hi, lo, ar, em };

/// Weights are in tenths of a percent.
struct LengthPair {
  std::uint8_t src;
  std::uint8_t dst;
  unsigned weight;
};
struct Length {
  std::uint8_t length;
  unsigned weight;
};
struct Service {
  std::uint8_t protocol;  // 0: any.
  PortClass src;
  PortClass dst;
  unsigned weight;
};

/// What tells one kind of set from another.
struct Profile {
  std::span<const LengthPair> pairs;  // The rest is drawn from the two lists below.
  std::span<const Length> src_lengths;
  std::span<const Length> dst_lengths;
  std::span<const Service> services;
  double src_leaves;  // Addresses per rule, about.
  double dst_leaves;
  double skew;  // 0: both halves of a tree are as likely; 1: only one is.
  std::size_t src_ports;
  std::size_t dst_ports;
  std::size_t ranges;
};

using enum PortClass;

// Counted in acl1_1k of bench/rules.
constexpr LengthPair kAclPairs[] = {{32, 32, 299},
                                    {31, 32, 152},
                                    {32, 31, 113},
                                    {32, 22, 41},
                                    {31, 31, 40},
                                    {32, 30, 37},
                                    {23, 32, 27},
                                    {31, 22, 23},
                                    {30, 32, 21},
                                    {31, 23, 19},
                                    {32, 24, 18},
                                    {24, 31, 18},
                                    {24, 32, 13},
                                    {23, 16, 10},
                                    {30, 22, 8},
                                    {32, 23, 7},
                                    {30, 23, 7},
                                    {31, 21, 6}};
constexpr Length kAclSrc[] = {
    {32, 120}, {31, 150}, {23, 250}, {24, 190}, {22, 120}, {30, 80}, {29, 50}, {0, 40}};
constexpr Length kAclDst[] = {
    {32, 300}, {22, 150}, {23, 130}, {21, 100}, {16, 100}, {25, 70}, {24, 70}, {0, 50}, {17, 30}};
constexpr Service kAclServices[] = {{6, wc, em, 588},
                                    {6, wc, wc, 169},
                                    {6, wc, ar, 121},
                                    {0, wc, wc, 85},
                                    {1, wc, wc, 26},
                                    {17, wc, em, 8},
                                    {17, wc, ar, 3}};
// Counted in fw1_58k of bench/rules.
constexpr LengthPair kFwPairs[] = {{0, 31, 193},
                                   {0, 32, 143},
                                   {1, 32, 118},
                                   {1, 31, 72},
                                   {0, 30, 61},
                                   {31, 0, 47},
                                   {32, 0, 36},
                                   {32, 1, 32},
                                   {2, 32, 28},
                                   {31, 1, 20},
                                   {32, 32, 20},
                                   {30, 0, 19},
                                   {32, 31, 9},
                                   {31, 32, 9},
                                   {32, 2, 8},
                                   {28, 0, 7}};
constexpr Length kFwSrc[] = {{28, 110},
                             {29, 120},
                             {27, 100},
                             {26, 90},
                             {21, 90},
                             {22, 90},
                             {20, 80},
                             {23, 70},
                             {30, 90},
                             {31, 90},
                             {2, 70}};
constexpr Length kFwDst[] = {
    {0, 350}, {1, 250}, {32, 100}, {31, 80}, {28, 60}, {21, 50}, {29, 40}, {27, 40}, {22, 30}};
constexpr Service kFwServices[] = {{6, wc, em, 449},
                                   {17, wc, em, 135},
                                   {17, em, wc, 101},
                                   {6, wc, wc, 88},
                                   {47, wc, wc, 52},
                                   {6, hi, hi, 40},
                                   {1, wc, wc, 37},
                                   {17, em, em, 25},
                                   {17, em, hi, 22},
                                   {17, hi, hi, 21},
                                   {17, hi, em, 20},
                                   {0, wc, wc, 10}};
// The paper describes IP chains as between the other two, with every class of ports in use; the
// numbers are ours.
constexpr LengthPair kIpcPairs[] = {{32, 32, 250},
                                    {0, 32, 80},
                                    {32, 0, 80},
                                    {24, 32, 60},
                                    {32, 24, 60},
                                    {24, 24, 50},
                                    {30, 32, 30},
                                    {32, 30, 30},
                                    {16, 32, 30},
                                    {32, 16, 30},
                                    {0, 24, 20},
                                    {24, 0, 20},
                                    {28, 28, 20},
                                    {27, 32, 20},
                                    {0, 0, 2}};
constexpr Length kIpcSrc[] = {{32, 200},
                              {30, 100},
                              {29, 80},
                              {28, 100},
                              {27, 80},
                              {26, 60},
                              {24, 150},
                              {23, 40},
                              {21, 40},
                              {16, 80},
                              {8, 20},
                              {0, 50}};
constexpr Length kIpcDst[] = {{32, 250},
                              {30, 80},
                              {29, 80},
                              {28, 80},
                              {27, 80},
                              {26, 60},
                              {24, 150},
                              {22, 50},
                              {20, 30},
                              {16, 80},
                              {8, 10},
                              {0, 50}};
constexpr Service kIpcServices[] = {{6, wc, em, 250},
                                    {6, wc, wc, 110},
                                    {17, wc, em, 110},
                                    {0, wc, wc, 150},
                                    {17, em, em, 70},
                                    {17, wc, wc, 60},
                                    {6, hi, em, 50},
                                    {6, em, hi, 40},
                                    {17, em, wc, 40},
                                    {6, em, wc, 30},
                                    {1, wc, wc, 30},
                                    {6, wc, ar, 20},
                                    {17, wc, ar, 15},
                                    {6, wc, hi, 15},
                                    {17, ar, em, 5},
                                    {17, lo, lo, 5}};

const Profile& profile_of(FilterKind kind) {
  static constexpr Profile kAcl{
      kAclPairs, kAclSrc, kAclDst, kAclServices, 0.04, 0.4, 0.8, 10, 66, 31};
  static constexpr Profile kFw{kFwPairs, kFwSrc, kFwDst, kFwServices, 4.0, 20.0, 0.2, 10, 40, 2};
  static constexpr Profile kIpc{
      kIpcPairs, kIpcSrc, kIpcDst, kIpcServices, 0.5, 0.5, 0.3, 20, 50, 10};
  return kind == FilterKind::acl ? kAcl : kind == FilterKind::fw ? kFw : kIpc;
}

/// A few random numbers that follow from a seed, cheap to begin (splitmix64).
class Seeded {
 public:
  explicit Seeded(std::uint64_t seed) : state_(seed) {}
  std::uint64_t operator()() {
    state_ += 0x9e37'79b9'7f4a'7c15U;
    std::uint64_t bits = (state_ ^ (state_ >> 30U)) * 0xbf58'476d'1ce4'e5b9U;
    bits = (bits ^ (bits >> 27U)) * 0x94d0'49bb'1331'11ebU;
    return bits ^ (bits >> 31U);
  }
  double unit() { return static_cast<double>((*this)() >> 11U) * 0x1p-53; }
  std::size_t below(std::size_t end) { return (*this)() % end; }

 private:
  std::uint64_t state_;
};

/// The tree of all addresses of one end. It has no nodes in memory: what a node is like follows
/// from its place and the seed.
class AddressTree {
 public:
  AddressTree(std::uint64_t seed, double leaves, double skew)
      : seed_(seed), skew_(skew), branching_(std::pow(std::max(2.0, leaves), 1.0 / 32) - 1) {}

  Prefix walk(unsigned length, Seeded& random) const {
    std::uint32_t bits = 0;
    for (unsigned depth = 0; depth < length; ++depth) {
      Seeded node(seed_ ^ (std::uint64_t{bits} << 8U) ^ (std::uint64_t{depth} << 48U));
      const bool favoured = node.unit() < 0.5;
      const bool branches = node.unit() < branching_;
      const double lighter = 0.5 * (1 - skew_ * node.unit());
      const bool one = branches && random.unit() < lighter ? !favoured : favoured;
      bits |= one ? 0x8000'0000U >> depth : 0;
    }
    return prefix_of(IpAddress::from_v4(bits), length);
  }
  /// Old addresses stay, new ones appear.
  void branch_more() { branching_ = std::min(1.0, branching_ * 1.05); }

 private:
  std::uint64_t seed_;
  double skew_;
  double branching_;
};

/// An element of a list with the member `weight`, as often as its weight says.
template <typename Weighted>
const Weighted& pick(std::span<const Weighted> list, Seeded& random) {
  std::size_t sum = 0;
  for (const Weighted& one : list) {
    sum += one.weight;
  }
  std::size_t left = random.below(sum);
  for (const Weighted& one : list) {
    if (left < one.weight) {
      return one;
    }
    left -= one.weight;
  }
  return list.back();
}

struct PortSpan {
  std::uint16_t first;
  std::uint16_t last;
};

/// The single ports and the ranges that a set knows. Some come up far more often than others.
class PortList {
 public:
  PortList(std::size_t ports, std::size_t ranges, Seeded random) {
    constexpr std::uint16_t kUsual[] = {80, 25, 53, 22, 123, 21, 443, 1521, 161, 23, 110, 1433};
    for (std::size_t i = 0; i < ports; ++i) {
      const auto port = i < std::size(kUsual)
                            ? kUsual[i]
                            : static_cast<std::uint16_t>(
                                  1 + random.below(random.below(2) == 0 ? 10'000 : 65'535));
      ports_.push_back({port, port});
    }
    constexpr std::size_t kWidths[] = {2, 5, 10, 11, 20, 50, 100, 101, 500, 1000};
    for (std::size_t i = 0; i < ranges; ++i) {
      const std::size_t first = 100 * (11 + random.below(600));
      const std::size_t last = first + kWidths[random.below(std::size(kWidths))] - 1;
      ranges_.push_back({static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)});
    }
  }

  [[nodiscard]] PortSpan draw(PortClass what, Seeded& random) const {
    switch (what) {
      case hi:
        return {1024, 65535};
      case lo:
        return {0, 1023};
      case ar:
        return ranges_[skewed(ranges_.size(), random)];
      case em:
        return ports_[skewed(ports_.size(), random)];
      case wc:
        break;
    }
    return {0, 65535};
  }

 private:
  /// Of numbers below `end` the small ones more often: the logarithm is uniform.
  static std::size_t skewed(std::size_t end, Seeded& random) {
    const double drawn = std::exp(random.unit() * std::log(static_cast<double>(end) + 1));
    return std::min(end - 1, static_cast<std::size_t>(drawn) - 1);
  }

  std::vector<PortSpan> ports_;
  std::vector<PortSpan> ranges_;
};

class FilterMaker {
 public:
  explicit FilterMaker(const FilterShape& shape)
      : profile_(profile_of(shape.kind)),
        count_(shape.rules),
        random_(shape.seed * 8 + static_cast<std::uint64_t>(shape.kind)),
        src_(random_(), leaves(profile_.src_leaves), profile_.skew),
        dst_(random_(), leaves(profile_.dst_leaves), profile_.skew),
        src_ports_(profile_.src_ports, profile_.ranges, Seeded(random_())),
        dst_ports_(profile_.dst_ports, profile_.ranges, Seeded(random_())) {}

  FilterSet make() {
    std::set<FilterRule> known;
    FilterSet filters;
    for (unsigned in_vain = 0; filters.size() < count_;) {
      const FilterRule rule = draw();
      if (known.insert(rule).second) {
        filters.push_back(rule);
        in_vain = 0;
      } else if (++in_vain == kInVainMax) {
        // The trees are used up.
        src_.branch_more();
        dst_.branch_more();
        in_vain = 0;
      }
    }
    std::ranges::stable_sort(filters, {}, width);
    return filters;
  }

 private:
  static constexpr unsigned kInVainMax = 8;

  [[nodiscard]] double leaves(double per_rule) const {
    return per_rule * static_cast<double>(count_);
  }

  FilterRule draw() {
    const auto [src, dst] = lengths();
    const Service& service = pick(profile_.services, random_);
    const PortSpan src_port = src_ports_.draw(service.src, random_);
    const PortSpan dst_port = dst_ports_.draw(service.dst, random_);
    return {.src = src_.walk(src, random_),
            .dst = dst_.walk(dst, random_),
            .src_port_first = src_port.first,
            .src_port_last = src_port.last,
            .dst_port_first = dst_port.first,
            .dst_port_last = dst_port.last,
            .protocol = service.protocol,
            .protocol_mask = static_cast<std::uint8_t>(service.protocol == 0 ? 0 : 0xff)};
  }

  std::pair<unsigned, unsigned> lengths() {
    constexpr unsigned kWhole = 1000;
    unsigned listed = 0;
    for (const LengthPair& pair : profile_.pairs) {
      listed += pair.weight;
    }
    if (random_.below(kWhole) < listed) {
      const LengthPair& pair = pick(profile_.pairs, random_);
      return {pair.src, pair.dst};
    }
    return {pick(profile_.src_lengths, random_).length, pick(profile_.dst_lengths, random_).length};
  }

  /// The logarithm of how many keys a rule holds: smaller for one inside another.
  static double width(const FilterRule& rule) {
    return 64.0 - rule.src.length - rule.dst.length +
           std::log2(rule.src_port_last - rule.src_port_first + 1.0) +
           std::log2(rule.dst_port_last - rule.dst_port_first + 1.0) +
           (rule.protocol_mask == 0 ? 8 : 0);
  }

  const Profile& profile_;
  std::size_t count_;
  Seeded random_;
  AddressTree src_;
  AddressTree dst_;
  PortList src_ports_;
  PortList dst_ports_;
};

/// A number of first..last: either end, or any.
std::uint32_t number_in(std::uint32_t first, std::uint32_t last, Seeded& random) {
  switch (random.below(4)) {
    case 0:
      return first;
    case 1:
      return last;
    default:
      return first + static_cast<std::uint32_t>(random.below(std::size_t{last} - first + 1));
  }
}

classifier::Key4 key_in(const FilterRule& rule, Seeded& random) {
  const auto port_in = [&](std::uint16_t first, std::uint16_t last) {
    return static_cast<std::uint16_t>(number_in(first, last, random));
  };
  constexpr std::uint8_t kProtocols[] = {classifier::kProtocolTcp, classifier::kProtocolUdp};
  return {.src = number_in(rule.src.address.v4(), last_address(rule.src).v4(), random),
          .dst = number_in(rule.dst.address.v4(), last_address(rule.dst).v4(), random),
          .src_port = port_in(rule.src_port_first, rule.src_port_last),
          .dst_port = port_in(rule.dst_port_first, rule.dst_port_last),
          .protocol = rule.protocol_mask == 0 ? kProtocols[random.below(2)] : rule.protocol};
}

}  // namespace

FilterSet make_filters(const FilterShape& shape) {
  return FilterMaker(shape).make();
}

std::vector<classifier::Key4> make_filter_trace(const FilterSet& filters, std::uint64_t seed) {
  constexpr std::size_t kKeys = 262'144;
  constexpr double kParetoScale = 0.1;
  constexpr double kCopiesMax = 1000;
  Seeded random(~seed);
  std::vector<classifier::Key4> keys;
  while (keys.size() < kKeys * 9 / 10 && !filters.empty()) {
    const classifier::Key4 key = key_in(filters[random.below(filters.size())], random);
    // Pareto with the exponent 1: half as many have twice as many copies.
    const double copies = std::ceil(std::min(kCopiesMax, kParetoScale / (1 - random.unit())));
    keys.insert(keys.end(), static_cast<std::size_t>(copies), key);
  }
  keys.resize(std::min(keys.size(), kKeys * 9 / 10));
  while (keys.size() < kKeys) {
    keys.push_back({.src = static_cast<std::uint32_t>(random()),
                    .dst = static_cast<std::uint32_t>(random()),
                    .src_port = static_cast<std::uint16_t>(random()),
                    .dst_port = static_cast<std::uint16_t>(random()),
                    .protocol = static_cast<std::uint8_t>(random())});
  }
  std::ranges::shuffle(keys, std::mt19937_64(seed));
  return keys;
}

}  // namespace portcullis::bench
