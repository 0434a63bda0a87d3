// SPDX-License-Identifier: MIT
#include "policy/manifest/validate.h"

#include <algorithm>

#include <fmt/format.h>

namespace portcullis::policy {
namespace {

constexpr std::size_t kLabelMax = 63;
constexpr std::size_t kSubdomainMax = 253;
constexpr std::size_t kPortNameMax = 15;

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower_or_digit(char c) {
  return is_lower(c) || is_digit(c);
}
bool is_alphanumeric(char c) {
  return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

bool is_dns_label(std::string_view value) {
  return !value.empty() && is_lower_or_digit(value.front()) && is_lower_or_digit(value.back()) &&
         std::all_of(
             value.begin(), value.end(), [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

bool is_dns_subdomain(std::string_view value) {
  while (true) {
    const auto dot = value.find('.');
    if (!is_dns_label(value.substr(0, dot))) {
      return false;
    }
    if (dot == std::string_view::npos) {
      return true;
    }
    value.remove_prefix(dot + 1);
  }
}

/// The alphabet of label values and of the name part of keys, at least one character.
bool is_label_word(std::string_view value) {
  return !value.empty() && is_alphanumeric(value.front()) && is_alphanumeric(value.back()) &&
         std::all_of(value.begin(), value.end(), [](char c) {
           return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
         });
}

std::string too_long(std::size_t max) {
  return fmt::format("must be no more than {} characters", max);
}

constexpr std::string_view kLabelWordRule =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character";

}  // namespace

Objections objections_to_dns_label(std::string_view value) {
  Objections out;
  if (value.size() > kLabelMax) {
    out.push_back(too_long(kLabelMax));
  }
  if (!is_dns_label(value)) {
    out.emplace_back(is_dns_subdomain(value)
                         ? "must not contain dots"
                         : "a lowercase RFC 1123 label must consist of lower case alphanumeric "
                           "characters or '-', and must start and end with an alphanumeric "
                           "character (e.g. 'my-name')");
  }
  return out;
}

Objections objections_to_dns_subdomain(std::string_view value) {
  Objections out;
  if (value.size() > kSubdomainMax) {
    out.push_back(too_long(kSubdomainMax));
  }
  if (!is_dns_subdomain(value)) {
    out.emplace_back(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
        "or '.', and must start and end with an alphanumeric character (e.g. 'example.com')");
  }
  return out;
}

Objections objections_to_label_key(std::string_view value) {
  Objections out;
  const auto slash = value.find('/');
  std::string_view name = value;
  if (slash != std::string_view::npos) {
    const std::string_view prefix = value.substr(0, slash);
    name = value.substr(slash + 1);
    if (name.find('/') != std::string_view::npos) {
      out.push_back(
          fmt::format("a valid label key {} with an optional DNS subdomain prefix and "
                      "'/' (e.g. 'example.com/MyName')",
                      kLabelWordRule));
      return out;
    }
    if (prefix.empty()) {
      out.emplace_back("prefix part must be non-empty");
    } else {
      for (const std::string& objection : objections_to_dns_subdomain(prefix)) {
        out.push_back("prefix part " + objection);
      }
    }
  }
  if (name.empty()) {
    out.emplace_back("name part must be non-empty");
  } else if (name.size() > kLabelMax) {
    out.push_back("name part " + too_long(kLabelMax));
  }
  if (!is_label_word(name)) {
    out.push_back(fmt::format("name part {} (e.g. 'MyName')", kLabelWordRule));
  }
  return out;
}

Objections objections_to_label_value(std::string_view value) {
  Objections out;
  if (value.size() > kLabelMax) {
    out.push_back(too_long(kLabelMax));
  }
  if (!value.empty() && !is_label_word(value)) {
    out.emplace_back(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
        "'.', and must start and end with an alphanumeric character (e.g. 'MyValue')");
  }
  return out;
}

Objections objections_to_port_name(std::string_view value) {
  Objections out;
  if (value.size() > kPortNameMax) {
    out.push_back(too_long(kPortNameMax));
  }
  if (value.empty() || !std::all_of(value.begin(), value.end(), [](char c) {
        return is_lower_or_digit(c) || c == '-';
      })) {
    out.emplace_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (std::none_of(value.begin(), value.end(), is_lower)) {
    out.emplace_back("must contain at least one letter (a-z)");
  }
  if (value.find("--") != std::string_view::npos) {
    out.emplace_back("must not contain consecutive hyphens");
  }
  if (!value.empty() && (value.front() == '-' || value.back() == '-')) {
    out.emplace_back("must not begin or end with a hyphen");
  }
  return out;
}

Objections objections_to_port_number(std::int32_t value) {
  if (value >= 1 && value <= 65535) {
    return {};
  }
  return {"must be between 1 and 65535, inclusive"};
}

}  // namespace portcullis::policy
