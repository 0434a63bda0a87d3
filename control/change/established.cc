// SPDX-License-Identifier: MIT
#include "control/change/established.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace portcullis::control {
namespace {

using Fate = Established::Fate;

constexpr std::array kFates{Fate::revalidate, Fate::drain, Fate::keep};

}  // namespace

std::string_view to_string(Fate fate) {
  constexpr std::array<std::string_view, kFates.size()> kWords{"revalidate", "drain", "keep"};
  return kWords.at(static_cast<std::size_t>(fate));
}

std::optional<Fate> fate_of(std::string_view word) {
  const auto* const found =
      std::ranges::find(kFates, word, [](Fate fate) { return to_string(fate); });
  return found == kFates.end() ? std::nullopt : std::optional(*found);
}

Established as_configured(const config::Conntrack& options) {
  const bool keeps = options.established == config::Conntrack::Established::keep;
  return {.fate = keeps ? Fate::keep : Fate::revalidate};
}

}  // namespace portcullis::control
