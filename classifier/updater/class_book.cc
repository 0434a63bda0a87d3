// SPDX-License-Identifier: MIT
#include "classifier/updater/class_book.h"

#include <algorithm>

namespace portcullis::classifier {

std::size_t ClassBook::RolesHash::operator()(const ClassRoles& roles) const noexcept {
  std::uint64_t hash = 0;
  for (const std::uint32_t role :
       {roles.egress_row, roles.egress_column, roles.ingress_row, roles.ingress_column}) {
    hash = (hash ^ role) * 0x9e37'79b9'7f4a'7c15ULL;
    hash ^= hash >> 32U;
  }
  return static_cast<std::size_t>(hash);
}

ClassBook::ClassBook(Classes& classes, const Census& census)
    : classes_(classes), kinds_of_class_(classes.classes.size()) {
  for (std::size_t i = 0; i < census.kinds().size(); ++i) {
    const std::uint32_t number = census.kinds()[i].address_class;
    if (number != kNoClass) {
      kinds_of_class_[number].push_back(static_cast<KindIndex>(i));
      by_roles_.emplace(classes.classes[number], number);
    }
  }
}

void ClassBook::clear_changes() {
  moved_kinds_.clear();
  changed_.clear();
  new_classes_ = 0;
  lost_numbers_ = 0;
}

void ClassBook::attach(KindIndex kind, std::uint32_t number, Census& census) {
  kinds_of_class_[number].push_back(kind);
  census.set_class(kind, number);
}

bool ClassBook::assign(const std::vector<Turn>& turns, Census& census, PermitFolder& folder) {
  std::vector<std::uint32_t> left;
  std::vector<std::uint32_t> own;  // By turn.
  for (const Turn& turn : turns) {
    own.push_back(census.kinds()[turn.kind].address_class);
    if (own.back() != kNoClass) {
      std::erase(kinds_of_class_[own.back()], turn.kind);
      left.push_back(own.back());
      census.set_class(turn.kind, kNoClass);
    }
  }
  // Those that stay come first, lest another take their class for an empty one.
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (own[i] != kNoClass && !turns[i].is_gone && classes_.classes[own[i]] == turns[i].roles) {
      attach(turns[i].kind, own[i], census);
    }
  }
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const KindIndex kind = turns[i].kind;
    if (turns[i].is_gone || census.kinds()[kind].address_class != kNoClass) {
      continue;
    }
    if (!place(turns[i], census, folder)) {
      return false;
    }
    if (census.kinds()[kind].address_class != own[i]) {
      moved_kinds_.push_back(kind);
    }
  }
  for (const std::uint32_t number : left) {
    if (kinds_of_class_[number].empty()) {
      ++lost_numbers_;
      close(number, folder);
    }
  }
  return true;
}

bool ClassBook::place(const Turn& turn, Census& census, PermitFolder& folder) {
  const Opening opening = folder.opening_of(turn.roles);
  if (turn.before != kNoClass && kinds_of_class_[turn.before].empty() &&
      fits(turn.before, opening)) {
    close(turn.before, folder);
    open(turn.before, turn.roles, folder);
    attach(turn.kind, turn.before, census);
    return true;
  }
  const auto found = by_roles_.find(turn.roles);
  if (found != by_roles_.end() && fits(found->second, opening)) {
    attach(turn.kind, found->second, census);
    return true;
  }
  const auto number = take_number(opening);
  if (!number) {
    return false;
  }
  open(*number, turn.roles, folder);
  attach(turn.kind, *number, census);
  ++new_classes_;
  return true;
}

bool ClassBook::renumber(std::uint32_t ingress_row, Census& census, PermitFolder& folder) {
  const auto list = folder.classes_of_row(Direction::ingress, ingress_row);
  const std::vector<std::uint32_t> numbers(list.begin(), list.end());
  for (const std::uint32_t number : numbers) {
    const ClassRoles roles = classes_.classes[number];
    const Opening opening = folder.opening_of(roles);
    if (fits(number, opening)) {
      continue;
    }
    const auto next = take_number(opening);
    if (!next) {
      return false;
    }
    open(*next, roles, folder);
    for (const KindIndex kind : std::exchange(kinds_of_class_[number], {})) {
      attach(kind, *next, census);
      moved_kinds_.push_back(kind);
    }
    ++lost_numbers_;
    close(number, folder);
    by_roles_.insert_or_assign(roles, *next);
    ++new_classes_;
  }
  return true;
}

void ClassBook::open(std::uint32_t number, const ClassRoles& roles, PermitFolder& folder) {
  classes_.classes[number] = roles;
  by_roles_.emplace(roles, number);
  folder.list(number, roles);
  changed_.push_back(number);
}

void ClassBook::close(std::uint32_t number, PermitFolder& folder) {
  const ClassRoles roles = classes_.classes[number];
  folder.unlist(number, roles);
  const auto known = by_roles_.find(roles);
  if (known != by_roles_.end() && known->second == number) {
    by_roles_.erase(known);
  }
}

/// Numbers of Opening::by_port are read whatever their rows say.
bool ClassBook::fits(std::uint32_t number, Opening opening) const {
  const auto after = std::ranges::upper_bound(classes_.first_class, number);
  const auto named = static_cast<Opening>(after - classes_.first_class.begin() - 1);
  return named == opening || (named == Opening::by_port && opening != Opening::outside);
}

std::optional<std::uint32_t> ClassBook::take_number(Opening opening) {
  for (const Opening from : {opening, Opening::by_port}) {
    auto& numbers = classes_.reserve[static_cast<std::size_t>(from)];
    if (!numbers.empty() && fits(numbers.back(), opening)) {
      const std::uint32_t number = numbers.back();
      numbers.pop_back();
      kinds_of_class_.resize(classes_.classes.size());
      return number;
    }
  }
  return std::nullopt;
}

}  // namespace portcullis::classifier
