// SPDX-License-Identifier: MIT
// ClassBook: which kinds each address class stands for, and which numbers classes have. A number
// says how its class is reached as a destination (docs/table_format.md, A permit), so a class whose
// rows come to say something else may need another number.
// Thread: one.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "classifier/compiler/classes.h"
#include "classifier/permits/permit_folder.h"
#include "classifier/updater/census.h"

namespace portcullis::classifier {

class ClassBook {
 public:
  ClassBook(Classes& classes, const Census& census);

  /// A kind that is new and belongs to a class that there is.
  void adopt(KindIndex kind, std::uint32_t number, Census& census) { attach(kind, number, census); }

  struct Turn {
    KindIndex kind = 0;
    std::uint32_t before = kNoClass;  // Its class, or that of what its first address was.
    bool is_gone = false;
    ClassRoles roles;
  };
  /// Gives kinds whose roles may have changed their classes. False: there is no number left.
  bool assign(const std::vector<Turn>& turns, Census& census, PermitFolder& folder);
  /// Gives classes of an ingress row other numbers if theirs say something else than the row.
  bool renumber(std::uint32_t ingress_row, Census& census, PermitFolder& folder);

  /// Since the last clear_changes(): kinds whose class has another number; classes made or given
  /// other roles; how many numbers went out of use.
  [[nodiscard]] const std::vector<KindIndex>& moved_kinds() const { return moved_kinds_; }
  [[nodiscard]] const std::vector<std::uint32_t>& changed_classes() const { return changed_; }
  [[nodiscard]] std::size_t new_classes() const { return new_classes_; }
  [[nodiscard]] std::size_t lost_numbers() const { return lost_numbers_; }
  void clear_changes();

 private:
  struct RolesHash {
    std::size_t operator()(const ClassRoles& roles) const noexcept;
  };

  void attach(KindIndex kind, std::uint32_t number, Census& census);
  bool place(const Turn& turn, Census& census, PermitFolder& folder);
  void open(std::uint32_t number, const ClassRoles& roles, PermitFolder& folder);
  void close(std::uint32_t number, PermitFolder& folder);
  [[nodiscard]] bool fits(std::uint32_t number, Opening opening) const;
  std::optional<std::uint32_t> take_number(Opening opening);

  Classes& classes_;
  std::vector<std::vector<KindIndex>> kinds_of_class_;
  std::unordered_map<ClassRoles, std::uint32_t, RolesHash> by_roles_;
  std::vector<KindIndex> moved_kinds_;
  std::vector<std::uint32_t> changed_;
  std::size_t new_classes_ = 0;
  std::size_t lost_numbers_ = 0;
};

}  // namespace portcullis::classifier
