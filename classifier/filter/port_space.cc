// SPDX-License-Identifier: MIT
#include "classifier/filter/port_space.h"

#include <algorithm>

#include "classifier/compiler/intern.h"
#include "classifier/compiler/partition.h"
#include "classifier/key.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kCellsMax = std::size_t{1} << 21U;
constexpr std::size_t kPointsMax = 65'536;
constexpr std::size_t kByteValues = 256;
constexpr std::uint32_t kNoNumber = 0xffff'ffffU;

constexpr bool is_icmp(std::optional<std::uint8_t> protocol) {
  const std::uint8_t number = protocol.value_or(0);
  return number == kProtocolIcmp || number == kProtocolIcmpv6;
}

void cut(std::set<std::uint32_t>& cuts, const Interval& interval) {
  cuts.insert(interval.first);
  if (interval.last != 0xffff) {
    cuts.insert(interval.last + 1U);
  }
}

/// The classes that an interval covers: first, and one past the last.
std::pair<std::size_t, std::size_t> classes_of(const std::vector<std::uint32_t>& begins,
                                               const Interval& interval) {
  const auto first = std::ranges::lower_bound(begins, interval.first);
  const auto end = std::ranges::upper_bound(begins, interval.last);
  return {static_cast<std::size_t>(first - begins.begin()),
          static_cast<std::size_t>(end - begins.begin())};
}

/// By value of the flags, which of the masks it fits.
std::vector<std::vector<bool>> fits_of_flags(
    const std::set<std::pair<std::uint8_t, std::uint8_t>>& masks) {
  std::vector<std::vector<bool>> fits(kByteValues);
  for (std::size_t flags = 0; flags < kByteValues; ++flags) {
    for (const auto& [value, mask] : masks) {
      fits[flags].push_back((flags & mask) == value);
    }
  }
  return fits;
}

std::size_t count_flag_classes(const std::set<std::pair<std::uint8_t, std::uint8_t>>& masks) {
  auto fits = fits_of_flags(masks);
  std::ranges::sort(fits);
  return static_cast<std::size_t>(std::unique(fits.begin(), fits.end()) - fits.begin());
}

}  // namespace

PortMatch port_match_of(const StaticRule& rule) {
  return {.protocol = rule.protocol,
          .src_ports = rule.src_ports,
          .dst_ports = rule.dst_ports,
          .icmp = rule.icmp,
          .tcp_flags = rule.tcp_flags,
          .tcp_flags_mask = rule.tcp_flags_mask};
}

PortSpace::PortSpace(std::span<const StaticRule> rules) {
  std::map<PortMatch, std::size_t> uses;
  for (const StaticRule& rule : rules) {
    ++uses[port_match_of(rule)];
  }
  std::vector<std::pair<std::size_t, PortMatch>> by_use;
  for (const auto& [match, count] : uses) {
    by_use.emplace_back(count, match);
  }
  std::ranges::stable_sort(by_use, std::greater{}, &std::pair<std::size_t, PortMatch>::first);
  for (std::size_t room = kCellsMax;; room /= 2) {
    choose(by_use, room);
    number_axes();
    if (number_points()) {
      break;
    }
  }
  fill_arrays();
}

std::optional<std::uint32_t> PortSpace::find(const PortMatch& match) const {
  const auto found = matches_.find(match);
  return found == matches_.end() ? std::nullopt : std::optional(found->second);
}

bool PortSpace::Axes::add(const PortMatch& match, std::size_t room) {
  std::set<std::uint32_t> new_dst;
  std::set<std::uint32_t> new_src;
  // An ICMP type and code takes the place of the destination port.
  cut(new_dst, match.dst_ports);
  cut(new_dst, match.icmp);
  cut(new_src, match.src_ports);
  std::erase_if(new_dst, [&](std::uint32_t at) { return dst_cuts.contains(at); });
  std::erase_if(new_src, [&](std::uint32_t at) { return src_cuts.contains(at); });
  const bool new_protocol = match.protocol && !protocols.contains(*match.protocol);
  auto with_flags = flags;
  if (match.tcp_flags_mask != 0) {
    with_flags.emplace(match.tcp_flags, match.tcp_flags_mask);
  }
  const std::size_t classes =
      with_flags.size() == flags.size() ? flag_classes : count_flag_classes(with_flags);
  if ((protocols.size() + (new_protocol ? 2 : 1)) * classes * (dst_cuts.size() + new_dst.size()) *
          (src_cuts.size() + new_src.size()) >
      room) {
    return false;
  }
  if (new_protocol) {
    protocols.insert(*match.protocol);
  }
  dst_cuts.merge(new_dst);
  src_cuts.merge(new_src);
  flags = std::move(with_flags);
  flag_classes = classes;
  return true;
}

void PortSpace::choose(std::span<const std::pair<std::size_t, PortMatch>> by_use,
                       std::size_t room) {
  axes_ = {};
  // Always classes of their own: their ports do not count.
  axes_.protocols = {kProtocolIcmp, kProtocolIcmpv6};
  matches_.clear();
  for (const auto& [count, match] : by_use) {
    if (axes_.add(match, room)) {
      matches_.emplace(match, static_cast<std::uint32_t>(matches_.size()));
    }
  }
}

void PortSpace::number_axes() {
  protocol_of_class_.assign(1, std::nullopt);
  protocol_of_class_.insert(
      protocol_of_class_.end(), axes_.protocols.begin(), axes_.protocols.end());
  dst_begins_.assign(axes_.dst_cuts.begin(), axes_.dst_cuts.end());
  src_begins_.assign(axes_.src_cuts.begin(), axes_.src_cuts.end());
  flags_of_class_.clear();
  class_of_flags_.clear();
  std::map<std::vector<bool>, std::uint32_t> classes;
  const auto fits = fits_of_flags(axes_.flags);
  for (std::size_t flags = 0; flags < kByteValues; ++flags) {
    const auto [known, added] =
        classes.emplace(fits[flags], static_cast<std::uint32_t>(classes.size()));
    if (added) {
      flags_of_class_.push_back(static_cast<std::uint8_t>(flags));
    }
    class_of_flags_.push_back(known->second);
  }
}

/// Visits the index of every cell that a match holds.
template <typename Visitor>
void PortSpace::for_each_cell(const PortMatch& match, Visitor visit) const {
  const std::size_t dst_count = dst_begins_.size();
  const std::size_t src_count = src_begins_.size();
  for (std::size_t p = 0; p < protocol_of_class_.size(); ++p) {
    if (match.protocol && match.protocol != protocol_of_class_[p]) {
      continue;
    }
    auto dst = classes_of(dst_begins_, match.dst_ports);
    auto src = classes_of(src_begins_, match.src_ports);
    if (is_icmp(protocol_of_class_[p])) {
      if (match.dst_ports.first != 0 || match.src_ports.first != 0) {
        continue;  // It has ports 0 and 0.
      }
      dst = classes_of(dst_begins_, match.icmp);
      src = {0, src_count};
    }
    for (std::size_t f = 0; f < flags_of_class_.size(); ++f) {
      if ((flags_of_class_[f] & match.tcp_flags_mask) != match.tcp_flags) {
        continue;
      }
      for (std::size_t d = dst.first; d < dst.second; ++d) {
        const std::size_t row = ((p * flags_of_class_.size() + f) * dst_count + d) * src_count;
        for (std::size_t s = src.first; s < src.second; ++s) {
          visit(static_cast<std::uint32_t>(row + s));
        }
      }
    }
  }
}

/// False: there are too many.
bool PortSpace::number_points() {
  const std::size_t cell_count =
      protocol_of_class_.size() * flags_of_class_.size() * dst_begins_.size() * src_begins_.size();
  Partition partition(std::vector<std::uint32_t>(cell_count), 1);
  for (const auto& [match, number] : matches_) {
    partition.begin_set();
    for_each_cell(match, [&](std::uint32_t cell) { partition.part(cell); });
  }
  std::vector<std::uint32_t> number(partition.count(), kNoNumber);
  point_of_cell_.clear();
  point_count_ = 0;
  for (std::uint32_t cell = 0; cell < cell_count; ++cell) {
    std::uint32_t& point = number[partition.group(cell)];
    if (point == kNoNumber) {
      if (point_count_ == kPointsMax) {
        return false;
      }
      point = static_cast<std::uint32_t>(point_count_++);
    }
    point_of_cell_.push_back(static_cast<std::uint16_t>(point));
  }
  bits_.assign(matches_.size() * words(), 0);
  for (const auto& [match, index] : matches_) {
    std::uint64_t* bits = bits_.data() + index * words();
    for_each_cell(match, [&](std::uint32_t cell) {
      const std::uint32_t point = point_of_cell_[cell];
      bits[point / 64] |= std::uint64_t{1} << (point % 64);
    });
  }
  return true;
}

void PortSpace::fill_arrays() {
  const auto dst_count = static_cast<std::uint32_t>(dst_begins_.size());
  const auto flag_count = static_cast<std::uint32_t>(flags_of_class_.size());
  const std::size_t src_count = src_begins_.size();
  arrays_.flags_matter = flag_count > 1;
  arrays_.src_ports_matter = src_count > 1;
  arrays_.protocols.assign(kByteValues, 0);
  for (std::uint32_t p = 1; p < protocol_of_class_.size(); ++p) {
    arrays_.protocols[*protocol_of_class_[p]] = p * flag_count * dst_count;
  }
  for (const std::uint32_t flag_class : class_of_flags_) {
    arrays_.flags.push_back(flag_class * dst_count);
  }
  arrays_.dst_ports = make_search(dst_begins_);
  arrays_.src_ports = make_search(src_begins_);

  Intern rows;
  std::vector<std::uint32_t> row;
  for (std::size_t cell = 0; cell < point_of_cell_.size(); cell += src_count) {
    if (src_count == 1) {
      arrays_.rows.push_back(point_of_cell_[cell]);
      continue;
    }
    row.assign(point_of_cell_.begin() + static_cast<std::ptrdiff_t>(cell),
               point_of_cell_.begin() + static_cast<std::ptrdiff_t>(cell + src_count));
    arrays_.rows.push_back(rows.place(row));
  }
  std::ranges::transform(rows.words(), std::back_inserter(arrays_.points), [](std::uint32_t word) {
    return static_cast<std::uint16_t>(word);
  });
}

}  // namespace portcullis::classifier
