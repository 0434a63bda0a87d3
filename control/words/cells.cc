// SPDX-License-Identifier: MIT
#include "control/words/cells.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

#include <fmt/format.h>

#include "base/time_text.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

constexpr std::size_t kDigestShown = 12;

std::string diagnostic_line(const json& found) {
  const std::string place = place_of(found);
  std::string line = place.empty() ? "" : place + ": ";
  line += text(found, "severity") + ": ";
  for (const char* name : {"object", "field"}) {
    const std::string what = text(found, name);
    line += what.empty() ? "" : what + ": ";
  }
  return line + text(found, "message") + "\n";
}

}  // namespace

std::string text(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end() || found->is_null()) {
    return "";
  }
  if (found->is_string()) {
    return found->get<std::string>();
  }
  return found->dump(-1, ' ', false, json::error_handler_t::replace);
}

double number(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_number() ? found->get<double>()
                                                                           : 0;
}

const json& part(const json& object, const char* name) {
  static const json kNothing;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() ? *found : kNothing;
}

std::string short_digest(const json& object, const char* name) {
  const std::string digest = text(object, name).substr(0, kDigestShown);
  return digest.empty() ? "-" : digest;
}

std::string span_of(const json& object, const char* name) {
  return span_text(std::chrono::seconds(static_cast<std::int64_t>(number(object, name))));
}

std::string bytes_text(double bytes) {
  constexpr std::array<const char*, 4> kUnits{"B", "KiB", "MiB", "GiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit) {
    bytes /= 1024;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, kUnits.at(unit));
}

std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string counts_text(const json& counts) {
  return fmt::format("{} namespaces, {} pods, {} nodes, {} policies, {} rules",
                     text(counts, "namespaces"),
                     text(counts, "pods"),
                     text(counts, "nodes"),
                     text(counts, "policies"),
                     text(counts, "rules"));
}

std::string rule_name(const json& rule) {
  if (rule.contains("builtin")) {
    return "built in: " + text(rule, "builtin");
  }
  const std::string number_text = text(rule, "rule");
  const std::string which = number_text == "0" ? "isolation" : fmt::format("rule {}", number_text);
  return fmt::format("{} {} {} ({}:{})",
                     text(rule, "policy"),
                     text(rule, "direction"),
                     which,
                     text(rule, "file"),
                     text(rule, "line"));
}

std::string place_of(const json& found) {
  std::string place = text(found, "file");
  for (const char* name : {"line", "column"}) {
    const std::string at = text(found, name);
    place += at.empty() || place.empty() ? "" : ":" + at;
  }
  return place;
}

std::string rest_line(const json& result, const char* list) {
  const double total = number(result, (std::string(list) + "_total").c_str());
  const auto shown = static_cast<double>(part(result, list).size());
  return total > shown ? fmt::format("and {:.0f} more\n", total - shown) : "";
}

std::string diagnostic_lines(const json& list) {
  std::string out;
  if (list.is_array()) {
    for (const json& found : list) {
      out += diagnostic_line(found);
    }
  }
  return out;
}

}  // namespace portcullis::control
