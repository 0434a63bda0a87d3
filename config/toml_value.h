// SPDX-License-Identifier: MIT
// One value of a TOML file, read into a field, and the problems found on the way. Only files of
// config/ that read TOML include this: it brings toml++ along.
// Thread: plain values, one thread at a time.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "base/ip.h"
#include "base/result.h"
#include "config/suggest.h"

namespace portcullis::config {

/// Collects problems with their places, to be put in order at the end.
class Problems {
 public:
  explicit Problems(std::string_view name) : name_(name) {}

  void add(const toml::source_position& at, std::string message) {
    found_.push_back({at.line, at.column, std::move(message)});
  }

  /// In order of their places.
  [[nodiscard]] std::vector<Error> take();

 private:
  struct Found {
    toml::source_index line;
    toml::source_index column;
    std::string message;
  };
  std::string name_;
  std::vector<Found> found_;
};

/// "a table", "an integer", ...: what a value is, for messages.
std::string_view kind_of(const toml::node& node);

/// A name of a choice and what it stands for.
template <typename Enum>
using Choice = std::pair<std::string_view, Enum>;

/// One value of the file, to be read into a field; knows its path for messages.
class Value {
 public:
  Value(const toml::node& node, std::string path, Problems& problems)
      : node_(node), path_(std::move(path)), problems_(problems) {}

  void read(bool& out) const;
  void read(std::string& out) const;
  template <std::unsigned_integral Unsigned>
  void read(Unsigned& out, std::uint32_t least, std::uint32_t most) const {
    const auto* integer = node_.as_integer();
    if (integer == nullptr) {
      wrong_type("an integer");
    } else if (integer->get() < least || integer->get() > most) {
      problem(fmt::format("must be between {} and {}, not {}", least, most, integer->get()));
    } else {
      out = static_cast<Unsigned>(integer->get());
    }
  }

  template <typename Enum, std::size_t n>
  void read(Enum& out, const std::array<Choice<Enum>, n>& choices) const {
    const auto* string = node_.as_string();
    if (string == nullptr) {
      wrong_type("a string in quotes");
      return;
    }
    std::vector<std::string> names;
    for (const auto& [name, value] : choices) {
      if (string->get() == name) {
        out = value;
        return;
      }
      names.emplace_back(name);
    }
    problem(fmt::format("must be one of {}, not \"{}\"{}",
                        fmt::join(names, ", "),
                        string->get(),
                        did_you_mean(string->get(), names)));
  }

  void read(IpAddress& out) const;
  void read(Prefix& out) const;
  template <typename Optional>
  void read(std::optional<Optional>& out) const {
    read(out.emplace());
  }

  /// A word, read by `parse`; a number stands for itself.
  template <typename Word>
  void read_word(Word& out, Result<Word> (*parse)(std::string_view)) const {
    const auto* integer = node_.as_integer();
    const std::string text =
        integer != nullptr ? fmt::format("{}", integer->get()) : node_.value_or(std::string());
    if (integer == nullptr && !node_.is_string()) {
      wrong_type("a string in quotes");
    } else if (auto word = parse(text)) {
      out = *word;
    } else {
      problem(word.error().message);
    }
  }

  /// The same, of an array's items.
  template <typename Word>
  void read(Word& out, Result<Word> (*parse)(std::string_view)) const {
    read_word(out, parse);
  }

  void read(std::pair<std::string, std::string>& out) const;

  /// An array, each item read with `arguments`.
  template <typename Item, typename... Arguments>
  void read(std::vector<Item>& out, Arguments... arguments) const {
    const toml::array* array = node_.as_array();
    if (array == nullptr) {
      wrong_type("an array in brackets");
      return;
    }
    out.assign(array->size(), Item{});
    for (std::size_t i = 0; i < array->size(); ++i) {
      item(*array, i).read(out[i], arguments...);
    }
  }

  /// A table with keys of the user's own, each value read with `arguments`.
  template <typename Item, typename... Arguments>
  void read(std::map<std::string, Item>& out, Arguments... arguments) const {
    const toml::table* table = node_.as_table();
    if (table == nullptr) {
      wrong_type("a table");
      return;
    }
    for (const auto& [name, value] : *table) {
      const Value one(value, fmt::format("{}.{}", path_, name.str()), problems_);
      one.read(out[std::string(name.str())], arguments...);
    }
  }

 private:
  [[nodiscard]] Value item(const toml::array& array, std::size_t i) const;
  bool read_text(std::string& text) const;
  void wrong_type(std::string_view wanted) const;
  void problem(const std::string& what) const;

  const toml::node& node_;
  std::string path_;
  Problems& problems_;
};

}  // namespace portcullis::config
