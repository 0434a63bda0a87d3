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
/// on, off, y and n are booleans too, and dates stay strings.
Value::Kind resolve_plain(std::string_view text);

/// The first byte that no text may hold: part of a broken UTF-8 sequence, NUL, a control character.
std::optional<Problem> find_binary(std::string_view text);

/// A value as a message shows it: on one line, and cut where it is long.
std::string excerpt(std::string_view text);

/// Appends one character. REQUIRES: code <= 0x10ffff.
void append_utf8(std::string& out, std::uint32_t code);

}  // namespace portcullis::policy
