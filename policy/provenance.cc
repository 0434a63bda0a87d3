// SPDX-License-Identifier: MIT
#include "policy/provenance.h"

#include <fmt/format.h>

namespace portcullis::policy {

std::string to_string(const Where& where) {
  if (where.line == 0) {
    return where.file;
  }
  return where.column == 0 ? fmt::format("{}:{}", where.file, where.line)
                           : fmt::format("{}:{}:{}", where.file, where.line, where.column);
}

}  // namespace portcullis::policy
