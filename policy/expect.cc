// SPDX-License-Identifier: MIT
#include "policy/expect.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "policy/manifest/tree.h"
#include "policy/manifest/yaml.h"

namespace portcullis::policy {

namespace {

using classifier::kProtocolIcmp;
using classifier::kProtocolSctp;
using classifier::kProtocolTcp;
using classifier::kProtocolUdp;

constexpr std::array<std::pair<std::string_view, std::uint8_t>, 4> kProtocols{
    {{"TCP", kProtocolTcp},
     {"UDP", kProtocolUdp},
     {"SCTP", kProtocolSctp},
     {"ICMP", kProtocolIcmp}}};

constexpr std::array<std::string_view, 5> kFields{"src", "dst", "proto", "port", "expected"};
using FieldTexts = std::array<std::string_view, kFields.size()>;

/// Told of each field that is wrong: its index in kFields, and why.
using Complain = std::function<void(std::size_t field, std::string message)>;

constexpr std::string_view kBlanks = " \t\r\v\f";

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// Foreign text as it may stand in a message: short and printable, in quotes.
std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 60;
  std::string shown = "\"";
  for (const char letter : text.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(letter);
    shown += byte >= 0x20 && byte != 0x7f ? std::string(1, letter) : fmt::format("\\x{:02x}", byte);
  }
  return shown + (text.size() > kShown ? "\"..." : "\"");
}

/// Fills src, dst, protocol, port and allow. Returns false once it has complained.
bool fill_probe(const FieldTexts& texts, Probe& probe, const Complain& complain) {
  const auto [src, dst, proto, port, expected] = texts;
  bool whole = true;
  const auto wrong = [&](std::size_t field, std::string message) {
    complain(field, std::move(message));
    whole = false;
  };
  for (std::size_t end = 0; end < 2; ++end) {
    if (texts[end].empty()) {
      wrong(end, "is empty; write namespace/pod or an IP address");
    }
  }
  probe.src = src;
  probe.dst = dst;
  const auto protocol = parse_protocol(proto);
  if (!protocol) {
    wrong(2, protocol.error().message);
  }
  probe.protocol = protocol.value_or(kProtocolTcp);
  if (auto number = parse_port(port, probe.protocol)) {
    probe.port = *number;
  } else {
    wrong(3, std::move(number).error().message);
  }
  if (expected != "allow" && expected != "deny") {
    wrong(4, fmt::format("{} is no verdict; write allow or deny", quoted(expected)));
  }
  probe.allow = expected == "allow";
  return whole;
}

/// Reads a file line by line; every line that is no probe becomes diagnostics.
class TsvReader {
 public:
  explicit TsvReader(const Manifest& file) : file_(file) {}

  Expectations read();

 private:
  void read_line(std::string_view line);
  void complain(std::string_view field, std::string message);

  const Manifest& file_;
  Expectations out_;
  std::uint32_t line_ = 0;
};

Expectations TsvReader::read() {
  std::string_view rest = file_.text;
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (rest.starts_with(kByteOrderMark)) {
    rest.remove_prefix(kByteOrderMark.size());
  }
  constexpr std::size_t kErrorsMax = 1'000;
  while (!rest.empty() && out_.diagnostics.size() < kErrorsMax) {
    const std::size_t end = rest.find('\n');
    ++line_;
    read_line(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return std::move(out_);
}

void TsvReader::complain(std::string_view field, std::string message) {
  out_.diagnostics.push_back({Diagnostic::Severity::error,
                              {file_.name, line_, 0},
                              "",
                              std::string(field),
                              std::move(message)});
}

void TsvReader::read_line(std::string_view line) {
  line = trim(line.substr(0, line.find('#')));
  if (line.empty()) {
    return;
  }
  FieldTexts texts;
  std::size_t count = 0;
  for (std::size_t start = 0; start <= line.size(); ++count) {
    const std::size_t end = std::min(line.find('\t', start), line.size());
    if (count < texts.size()) {
      texts[count] = trim(line.substr(start, end - start));
    }
    start = end + 1;
  }
  if (count != texts.size()) {
    complain("",
             fmt::format("{} has {} field{}; a probe has 5, src, dst, proto, port and expected, "
                         "with one tab between two of them",
                         quoted(line),
                         count,
                         count == 1 ? "" : "s"));
    return;
  }
  Probe probe;
  probe.where = {file_.name, line_, 0};
  if (fill_probe(texts, probe, [&](std::size_t field, std::string message) {
        complain(kFields[field], std::move(message));
      })) {
    out_.probes.push_back(std::move(probe));
  }
}

/// Reads a list of mappings; every wrong field of every item becomes a diagnostic.
class YamlReader {
 public:
  explicit YamlReader(const Manifest& file) : file_(file) {}

  Expectations read();

 private:
  void read_item(const Value& item);
  /// The text of a field; empty (and a complaint) where it is no plain value.
  std::string_view text_of(const Value& field, std::string_view key);
  void complain(Mark mark, std::string_view field, std::string message);

  const Manifest& file_;
  Expectations out_;
};

void YamlReader::complain(Mark mark, std::string_view field, std::string message) {
  out_.diagnostics.push_back({Diagnostic::Severity::error,
                              {file_.name, mark.line, mark.column},
                              "",
                              std::string(field),
                              std::move(message)});
}

Expectations YamlReader::read() {
  Tree tree;
  if (auto problem = read_yaml(file_.text, tree)) {
    complain(problem->mark, problem->field, std::move(problem->message));
    return std::move(out_);
  }
  for (Problem& problem : tree.duplicates) {
    complain(problem.mark, problem.field, std::move(problem.message));
  }
  for (const Value* document : tree.documents) {
    if (document->kind == Value::Kind::null) {
      continue;
    }
    if (document->kind != Value::Kind::sequence) {
      complain(document->mark, "", "is no list; write \"- {src: ..., dst: ..., ...}\" for a probe");
      continue;
    }
    for (const Value* item = document->child(); item != nullptr; item = item->next) {
      read_item(*item);
    }
  }
  return std::move(out_);
}

void YamlReader::read_item(const Value& item) {
  if (item.kind != Value::Kind::mapping) {
    complain(item.mark, "", "is no probe; write {src: ..., dst: ..., proto: ..., port: ..., ...}");
    return;
  }
  const std::size_t errors_before = out_.diagnostics.size();
  Probe probe;
  probe.where = {file_.name, item.mark.line, item.mark.column};
  FieldTexts texts;
  std::array<const Value*, kFields.size()> given{};
  for (const Value* key = item.child(); key != nullptr; key = key->next->next) {
    const std::string_view name = key->is_scalar() ? key->text() : std::string_view();
    const auto* const field = std::find(kFields.begin(), kFields.end(), name);
    if (field != kFields.end()) {
      const auto index = static_cast<std::size_t>(field - kFields.begin());
      given[index] = key->next;
      texts[index] = text_of(*key->next, name);
    } else if (name == "name") {
      probe.name = text_of(*key->next, name);
    } else {
      complain(
          key->mark,
          "",
          fmt::format("{} is no field of a probe; it has name, src, dst, proto, port, expected",
                      quoted(name)));
    }
  }
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i] == nullptr) {
      complain(item.mark, kFields[i], "is missing");
    }
  }
  if (out_.diagnostics.size() != errors_before) {
    return;
  }
  if (fill_probe(texts, probe, [&](std::size_t field, std::string message) {
        complain(given[field]->mark, kFields[field], std::move(message));
      })) {
    out_.probes.push_back(std::move(probe));
  }
}

std::string_view YamlReader::text_of(const Value& field, std::string_view key) {
  if (field.is_scalar() && field.kind != Value::Kind::null) {
    return field.text();
  }
  complain(field.mark, key, "must be a plain value");
  return {};
}

bool is_yaml(const Manifest& file) {
  const std::string_view name = file.name;
  if (name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json")) {
    return true;
  }
  // No probe line begins like a YAML list.
  std::string_view rest = file.text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = trim(rest.substr(0, end));
    if (!line.empty() && line.front() != '#') {
      return line == "-" || line.starts_with("- ") || line.front() == '[' ||
             line.starts_with("---");
    }
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return false;
}

}  // namespace

Result<std::uint8_t> parse_protocol(std::string_view text) {
  for (const auto& [name, number] : kProtocols) {
    if (name == text) {
      return number;
    }
  }
  return fail(fmt::format("{} is no protocol; write TCP, UDP, SCTP or ICMP", quoted(text)));
}

Result<std::optional<std::uint16_t>> parse_port(std::string_view text, std::uint8_t protocol) {
  if (text == "-") {
    return std::nullopt;
  }
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return fail(
        fmt::format("{} is no port; write a number up to 65535, or - for none", quoted(text)));
  }
  if (protocol != kProtocolIcmp) {
    return number;
  }
  if (number != 0) {
    return fail(fmt::format("ICMP has no ports; write - instead of {}", number));
  }
  return std::nullopt;
}

std::string to_string(const Probe& probe) {
  const auto named = std::find_if(kProtocols.begin(), kProtocols.end(), [&](const auto& protocol) {
    return protocol.second == probe.protocol;
  });
  const std::string_view protocol = named == kProtocols.end() ? "?" : named->first;
  return fmt::format("{}{}{} -> {} {}{}",
                     probe.name,
                     probe.name.empty() ? "" : ": ",
                     probe.src,
                     probe.dst,
                     protocol,
                     probe.port ? fmt::format(" {}", *probe.port) : "");
}

FlowText flow_text(const Probe& probe) {
  return {probe.src, probe.dst, probe.protocol, probe.port.value_or(0)};
}

Expectations parse_expectations(const Manifest& file) {
  return is_yaml(file) ? YamlReader(file).read() : TsvReader(file).read();
}

}  // namespace portcullis::policy
