// SPDX-License-Identifier: MIT
#include "config/toml_value.h"

#include <algorithm>
#include <tuple>

namespace portcullis::config {

std::string_view kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

std::vector<Error> Problems::take() {
  std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  std::vector<Error> out;
  for (Found& found : found_) {
    out.push_back(
        {std::move(found.message),
         found.line == 0 ? name_ : fmt::format("{}:{}:{}", name_, found.line, found.column)});
  }
  found_.clear();
  return out;
}

void Value::read(bool& out) const {
  if (const auto* boolean = node_.as_boolean()) {
    out = boolean->get();
  } else {
    wrong_type("true or false");
  }
}

void Value::read(std::string& out) const {
  if (const auto* string = node_.as_string()) {
    out = string->get();
  } else {
    wrong_type("a string in quotes");
  }
}

void Value::read(IpAddress& out) const {
  std::string text;
  if (!read_text(text)) {
    return;
  }
  if (auto address = parse_ip(text)) {
    out = *address;
  } else {
    problem(address.error().message);
  }
}

void Value::read(Prefix& out) const {
  std::string text;
  if (!read_text(text)) {
    return;
  }
  bool sloppy = false;
  const auto prefix = parse_prefix(text, &sloppy);
  if (!prefix) {
    problem(prefix.error().message);
  } else if (sloppy) {
    problem(fmt::format(
        "'{}' is not written as a block is (did you mean \"{}\"?)", text, to_string(*prefix)));
  } else {
    out = *prefix;
  }
}

void Value::read(std::pair<std::string, std::string>& out) const {
  const toml::array* pair = node_.as_array();
  if (pair == nullptr || pair->size() != 2) {
    problem("must be a pair of port names, as [\"inside\", \"outside\"]");
    return;
  }
  item(*pair, 0).read(out.first);
  item(*pair, 1).read(out.second);
}

Value Value::item(const toml::array& array, std::size_t i) const {
  return {array[i], fmt::format("{}[{}]", path_, i), problems_};
}

bool Value::read_text(std::string& text) const {
  read(text);
  return node_.is_string();
}

void Value::wrong_type(std::string_view wanted) const {
  problem(fmt::format("must be {}, not {}", wanted, kind_of(node_)));
}

void Value::problem(const std::string& what) const {
  problems_.add(node_.source().begin, path_ + ": " + what);
}

}  // namespace portcullis::config
