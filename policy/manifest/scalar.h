// SPDX-License-Identifier: MIT
// What the text of a manifest may hold, and what an unquoted word in it means.
// Thread: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/manifest/tree.h"

namespace portcullis::policy {

/// What a plain (unquoted) scalar means to Kubernetes: YAML 1.1 as go-yaml reads it, where yes, no,
/// on and off are booleans too, and dates stay strings. One deviation: a lone y or n is the letter.
/// go-yaml takes it for a boolean, which the API server then refuses wherever a name or a label
/// stands; YAML writers that follow YAML 1.2, or PyYAML, print such names without quotes.
Value::Kind resolve_plain(std::string_view text);

/// The first byte that no text may hold: part of a broken UTF-8 sequence, NUL, a control character.
std::optional<Problem> find_binary(std::string_view text);

/// A value as a message shows it: on one line, and cut where it is long.
std::string excerpt(std::string_view text);

/// Appends one character. REQUIRES: code <= 0x10ffff.
void append_utf8(std::string& out, std::uint32_t code);

}  // namespace portcullis::policy
