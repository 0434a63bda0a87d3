// SPDX-License-Identifier: MIT
// "Did you mean ...?": the word that a misspelt one most likely stands for.
// Thread: any; pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace portcullis::config {

/// Insertions, deletions, substitutions and swaps of neighbours that make `from` into `to`.
std::size_t edit_distance(std::string_view from, std::string_view to);

/// " (did you mean \"worker_cpus\"?)" for the nearest of `known`, or empty if none is near.
std::string did_you_mean(std::string_view written, std::span<const std::string> known);

}  // namespace portcullis::config
