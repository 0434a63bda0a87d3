// SPDX-License-Identifier: MIT
// Address maps: address -> class, and address -> node for forks, as the table's parts.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "classifier/compiler/classes.h"
#include "classifier/layout.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

struct AddressMaps {
  std::vector<std::uint32_t> root_v4;
  std::vector<std::uint32_t> nodes_v4;
  std::vector<Host6> hosts_v6;
  std::vector<std::uint32_t> nodes_v6;
  std::vector<Owner4> owners_v4;

  [[nodiscard]] std::size_t bytes() const;
};

/// Errors: more than `bytes_max` bytes.
Result<AddressMaps> map_addresses(const RuleSet& rules,
                                  const Classes& classes,
                                  std::size_t bytes_max);

}  // namespace portcullis::classifier
