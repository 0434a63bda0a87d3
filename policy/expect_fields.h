// SPDX-License-Identifier: MIT
// The fields of a probe as text, shared by the readers of the two formats of expect.h.
// Thread: pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "policy/expect.h"

namespace portcullis::policy {

inline constexpr std::array<std::string_view, 5> kProbeFields{
    "src", "dst", "proto", "port", "expected"};
using ProbeTexts = std::array<std::string_view, kProbeFields.size()>;

/// Told of each field that is wrong: its index in kProbeFields, and why.
using Complain = std::function<void(std::size_t field, std::string message)>;

/// Fills src, dst, protocol, port and allow. Returns false once it has complained.
bool fill_probe(const ProbeTexts& texts, Probe& probe, const Complain& complain);

/// Foreign text as it may stand in a message: short and printable, in quotes.
std::string quoted(std::string_view text);

/// The YAML half of parse_expectations().
Expectations parse_yaml_expectations(const Manifest& file);

}  // namespace portcullis::policy
