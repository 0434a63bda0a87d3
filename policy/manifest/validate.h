// SPDX-License-Identifier: MIT
// The API server's rules for names, labels and ports. Each function gives what is wrong with a
// value, in the API server's words; an empty answer is a valid value.
// Thread: pure functions.
// Source: docs/policy_semantics.md §7; apimachinery pkg/util/validation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace portcullis::policy {

using Objections = std::vector<std::string>;

/// Namespace names: at most 63 of a-z, 0-9 and '-'.
Objections objections_to_dns_label(std::string_view value);
/// Object names: DNS labels joined by dots, at most 253.
Objections objections_to_dns_subdomain(std::string_view value);
/// Label and annotation keys: [prefix/]name.
Objections objections_to_label_key(std::string_view value);
Objections objections_to_label_value(std::string_view value);
/// Names of container ports.
Objections objections_to_port_name(std::string_view value);
Objections objections_to_port_number(std::int32_t value);

}  // namespace portcullis::policy
