// SPDX-License-Identifier: MIT
#include "config/nesting.h"

#include <cstddef>

namespace portcullis::config {

bool has_endless_key(std::string_view text) {
  constexpr std::size_t kDotsMax = 32;
  std::size_t dots = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool repeated = text[i] == '.' && i > 0 && text[i - 1] == '.';  // Part of no key.
    if (repeated || std::string_view(",=[]{}\n").find(text[i]) != std::string_view::npos) {
      dots = 0;
    } else if (text[i] == '.' && ++dots > kDotsMax) {
      return true;
    }
  }
  return false;
}

}  // namespace portcullis::config
