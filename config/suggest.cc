// SPDX-License-Identifier: MIT
#include "config/suggest.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace portcullis::config {

std::size_t edit_distance(std::string_view from, std::string_view to) {
  // Three rows of the usual matrix: the row before last knows swaps of neighbours.
  std::vector<std::size_t> before_last(to.size() + 1);
  std::vector<std::size_t> last(to.size() + 1);
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t j = 0; j <= to.size(); ++j) {
    last[j] = j;
  }
  for (std::size_t i = 1; i <= from.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t substitution = last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, substitution});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last.swap(last);
    last.swap(row);
  }
  return last[to.size()];
}

std::string did_you_mean(std::string_view written, std::span<const std::string> known) {
  constexpr std::size_t kLengthMax = 64;  // A longer word is no misspelling of ours.
  if (written.size() > kLengthMax) {
    return {};
  }
  std::size_t best = std::max<std::size_t>(2, written.size() / 3) + 1;
  std::string_view nearest;
  for (const std::string& word : known) {
    const std::size_t distance = edit_distance(written, word);
    if (distance < best && distance < word.size()) {
      best = distance;
      nearest = word;
    }
  }
  return nearest.empty() ? std::string() : fmt::format(" (did you mean \"{}\"?)", nearest);
}

}  // namespace portcullis::config
