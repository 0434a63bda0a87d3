// SPDX-License-Identifier: MIT
#include "control/status/standing.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace portcullis::control {
namespace {

using nlohmann::json;
using Row = std::vector<std::string>;

/// Names in a row at most; `-o json` has more of them.
constexpr std::size_t kNamesShown = 3;
constexpr double kMebibyte = 1 << 20U;

/// "a, b, c and 4 more"; of fewer than are there, as the rest is only counted.
std::string names_text(const std::vector<std::string>& names, std::uint64_t total) {
  const std::size_t shown = std::min(names.size(), kNamesShown);
  std::string out = fmt::format("{}", fmt::join(std::span(names).first(shown), ", "));
  if (total > shown) {
    out += fmt::format("{}{} more", shown == 0 ? "" : " and ", total - shown);
  }
  return out;
}

/// A member that an answer lacks, or has in another shape, is as nothing.
const json& part(const json& object, const char* name) {
  static const json kNothing;
  const auto found = object.find(name);
  return found != object.end() ? *found : kNothing;
}

std::string text(const json& object, const char* name) {
  const json& found = part(object, name);
  return found.is_string() ? found.get<std::string>() : "";
}

std::uint64_t number(const json& object, const char* name) {
  const json& found = part(object, name);
  return found.is_number_unsigned() ? found.get<std::uint64_t>() : 0;
}

double mebibytes(const json& object, const char* name) {
  return static_cast<double>(number(object, name)) / kMebibyte;
}

std::string limits_text(const json& limits) {
  std::vector<std::string> parts;
  for (const auto& [name, pair] : limits.items()) {
    if (name == "table_bytes") {
      parts.insert(
          parts.begin(),
          fmt::format(
              "table {:.1f} of {:.0f} MiB", mebibytes(pair, "used"), mebibytes(pair, "limit")));
    } else if (name != "flows") {  // These have a row of their own.
      std::string words = name;
      std::replace(words.begin(), words.end(), '_', ' ');
      parts.push_back(
          fmt::format("{} {} of {}", words, number(pair, "used"), number(pair, "limit")));
    }
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string unselected_text(const json& unselected) {
  const std::uint64_t total = number(unselected, "total");
  if (total == 0) {
    return "every policy selects a pod";
  }
  std::vector<std::string> names;
  for (const json& one : part(unselected, "policies")) {
    names.push_back(
        fmt::format("{} ({}:{})", text(one, "policy"), text(one, "file"), number(one, "line")));
  }
  return fmt::format("{} {} no pod: {}",
                     total,
                     total == 1 ? "policy selects" : "policies select",
                     names_text(names, total));
}

std::string unmanaged_text(const json& unmanaged) {
  std::vector<std::string> parts;
  for (const auto& [reason, words] : {std::pair("no_port", "without a port here"),
                                      std::pair("no_address", "without an address"),
                                      std::pair("host_network", "on the host's network")}) {
    const std::uint64_t total = number(part(unmanaged, "reasons"), reason);
    if (total == 0) {
      continue;
    }
    std::vector<std::string> names;
    for (const json& one : part(unmanaged, "pods")) {
      if (text(one, "reason") == reason) {
        names.push_back(text(one, "pod"));
      }
    }
    parts.push_back(fmt::format("{} {} ({})", total, words, names_text(names, total)));
  }
  return parts.empty() ? "no pod" : fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::vector<Row> standing_rows(const json& status) {
  std::vector<Row> rows;
  for (const auto& [name, describe] : {std::pair("limits", &limits_text),
                                       std::pair("unselected", &unselected_text),
                                       std::pair("unmanaged", &unmanaged_text)}) {
    if (const json& found = part(status, name); found.is_object()) {
      rows.push_back({name, describe(found)});
    }
  }
  return rows;
}

}  // namespace portcullis::control
