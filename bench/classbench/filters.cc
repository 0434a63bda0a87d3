// SPDX-License-Identifier: MIT
#include "bench/classbench/filters.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include <zlib.h>

#include <fmt/format.h>

namespace portcullis::bench {
namespace {

/// Reads a line from left to right; every step may fail, and then all later ones do.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : rest_(line) {}

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::string_view rest() {
    skip_blanks();
    return rest_;
  }
  void expect(char c) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != c) {
      failed_ = true;
      return;
    }
    rest_.remove_prefix(1);
  }
  /// A number of at most `max`; hexadecimal ones begin with 0x.
  unsigned number(unsigned max) {
    skip_blanks();
    const bool hexadecimal = rest_.starts_with("0x") || rest_.starts_with("0X");
    rest_.remove_prefix(hexadecimal ? 2 : 0);
    unsigned value = 0;
    const auto [end, error] =
        std::from_chars(rest_.data(), rest_.data() + rest_.size(), value, hexadecimal ? 16 : 10);
    if (error != std::errc{} || value > max) {
      failed_ = true;
      return 0;
    }
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }
  Prefix prefix() {
    std::uint32_t address = 0;
    for (int octet = 0; octet < 4; ++octet) {
      if (octet > 0) {
        expect('.');
      }
      address = (address << 8U) | number(255);
    }
    expect('/');
    return prefix_of(IpAddress::from_v4(address), number(32));
  }

 private:
  void skip_blanks() {
    const auto first = rest_.find_first_not_of(" \t\r");
    rest_.remove_prefix(first == std::string_view::npos ? rest_.size() : first);
  }

  std::string_view rest_;
  bool failed_ = false;
};

struct CloseGz {
  void operator()(gzFile file) const { gzclose(file); }
};

/// A file's bytes, unpacked if they are packed.
Result<std::string> read_unpacked(const std::filesystem::path& path) {
  constexpr std::size_t kBytesMax = std::size_t{1} << 30U;
  const std::unique_ptr<gzFile_s, CloseGz> file(gzopen(path.c_str(), "rb"));
  if (file == nullptr) {
    return fail(fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
  }
  std::string text;
  std::array<char, 65536> buffer{};
  int got = 0;
  while ((got = gzread(file.get(), buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > kBytesMax) {
      return fail(fmt::format("{} is larger than {} bytes", path.string(), kBytesMax));
    }
  }
  if (got < 0) {
    return fail(fmt::format("cannot read {}", path.string()));
  }
  return text;
}

}  // namespace

bool holds(const FilterRule& rule, const classifier::Key4& key) {
  return rule.src.contains(IpAddress::from_v4(key.src)) &&
         rule.dst.contains(IpAddress::from_v4(key.dst)) && rule.src_port_first <= key.src_port &&
         key.src_port <= rule.src_port_last && rule.dst_port_first <= key.dst_port &&
         key.dst_port <= rule.dst_port_last &&
         ((key.protocol ^ rule.protocol) & rule.protocol_mask) == 0;
}

Result<FilterRule> parse_filter(std::string_view line) {
  LineReader reader(line);
  FilterRule rule;
  reader.expect('@');
  rule.src = reader.prefix();
  rule.dst = reader.prefix();
  rule.src_port_first = static_cast<std::uint16_t>(reader.number(0xffff));
  reader.expect(':');
  rule.src_port_last = static_cast<std::uint16_t>(reader.number(0xffff));
  rule.dst_port_first = static_cast<std::uint16_t>(reader.number(0xffff));
  reader.expect(':');
  rule.dst_port_last = static_cast<std::uint16_t>(reader.number(0xffff));
  rule.protocol = static_cast<std::uint8_t>(reader.number(0xff));
  reader.expect('/');
  rule.protocol_mask = static_cast<std::uint8_t>(reader.number(0xff));
  if (!reader.failed() && !reader.rest().empty()) {
    // The flags are the high byte of 16 bits: 0x1000 is ACK. The low byte never counts.
    rule.tcp_flags = static_cast<std::uint8_t>(reader.number(0xffff) >> 8U);
    reader.expect('/');
    rule.tcp_flags_mask = static_cast<std::uint8_t>(reader.number(0xffff) >> 8U);
  }
  if (reader.failed() || !reader.rest().empty()) {
    return fail(fmt::format("\"{}\" is no filter rule", line));
  }
  if (rule.src_port_first > rule.src_port_last || rule.dst_port_first > rule.dst_port_last) {
    return fail(fmt::format("\"{}\": a port range ends before it begins", line));
  }
  rule.protocol &= rule.protocol_mask;
  rule.tcp_flags &= rule.tcp_flags_mask;
  return rule;
}

Result<FilterSet> load_filters(const std::filesystem::path& path) {
  PORTCULLIS_TRY(const std::string text, read_unpacked(path));
  FilterSet filters;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
      continue;
    }
    auto rule = parse_filter(line);
    if (!rule) {
      return fail(rule.error().message, fmt::format("{}:{}", path.string(), number));
    }
    filters.push_back(*rule);
  }
  return filters;
}

const char* to_string(FilterKind kind) {
  switch (kind) {
    case FilterKind::fw:
      return "fw";
    case FilterKind::ipc:
      return "ipc";
    case FilterKind::acl:
      break;
  }
  return "acl";
}

}  // namespace portcullis::bench
