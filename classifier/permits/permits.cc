// SPDX-License-Identifier: MIT
#include "classifier/permits/permits.h"

#include <algorithm>
#include <numeric>

namespace portcullis::classifier {
namespace {

/// How many numbers of each opening to reserve for so many classes: some, but not so many that
/// entries or permits grow wider for their sake.
std::size_t reserve_of(std::size_t classes) {
  std::size_t limit = kChild;
  for (const std::size_t narrow : {kNarrowPermits, std::size_t{kNarrowEntries}}) {
    limit = classes <= narrow ? narrow : limit;
  }
  const std::size_t room = classes < limit ? (limit - classes) / 4 : 0;
  return std::min(room, classes / 32 + 4);
}

/// Sorts classes by opening as destinations, `reserve` free numbers behind those of each.
void order_classes(Classes& classes, const PermitFolder& folder, std::size_t reserve) {
  const auto opening = [&](std::uint32_t number) {
    return folder.opening_of(classes.classes[number]);
  };
  std::vector<std::uint32_t> order(classes.classes.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, opening);

  std::vector<ClassRoles> sorted;
  std::vector<std::uint32_t> new_number(order.size());
  auto next = order.begin();
  for (std::size_t i = 0; i < classes.reserve.size(); ++i) {
    classes.first_class[i] = static_cast<std::uint32_t>(sorted.size());
    for (; next != order.end() && opening(*next) == static_cast<Opening>(i); ++next) {
      new_number[*next] = static_cast<std::uint32_t>(sorted.size());
      sorted.push_back(classes.classes[*next]);
    }
    for (std::size_t k = 0; k < reserve; ++k) {
      classes.reserve[i].push_back(static_cast<std::uint32_t>(sorted.size()));
      sorted.push_back({.egress_row = kRowUnidentified, .ingress_row = kRowUnidentified});
    }
    std::ranges::reverse(classes.reserve[i]);
  }
  classes.classes = std::move(sorted);
  for (KnownAddress& known : classes.addresses) {
    known.address_class = new_number[known.address_class];
  }
  for (std::uint32_t& region_class : classes.region_classes) {
    region_class = new_number[region_class];
  }
}

bool is_reserved(const Classes& classes, std::uint32_t number) {
  return std::ranges::any_of(classes.reserve, [&](const auto& numbers) {
    return !numbers.empty() && numbers.back() <= number && number <= numbers.front();
  });
}

}  // namespace

std::size_t Permits::bytes() const {
  return (rows.size() + cells.size() + lines.size() + defaults.size()) * sizeof(std::uint32_t);
}

std::unique_ptr<PermitFolder> begin_permits(Classes& classes,
                                            const Matrix& matrix,
                                            bool reserve,
                                            const PermitOptions& options,
                                            Crew& crew) {
  if (matrix.rows(Direction::egress) == nullptr) {
    return nullptr;
  }
  auto folder = std::make_unique<PermitFolder>(options, matrix, classes, crew);
  if (crew.stopped()) {
    return nullptr;
  }
  order_classes(classes, *folder, reserve ? reserve_of(classes.classes.size()) : 0);
  for (std::uint32_t i = 0; i < classes.classes.size(); ++i) {
    if (!is_reserved(classes, i)) {
      folder->list(i, classes.classes[i]);
    }
  }
  return folder;
}

Permits permits_of(const PermitFolder* folder, const Classes& classes) {
  if (folder == nullptr) {
    return {};
  }
  return {.form = folder->form(),
          .rows = folder->rows(classes),
          .cells = folder->cells(),
          .lines = folder->lines(),
          .defaults = folder->defaults(classes)};
}

}  // namespace portcullis::classifier
