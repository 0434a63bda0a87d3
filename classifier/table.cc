// SPDX-License-Identifier: MIT
#include "classifier/table.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/digest.h"
#include "base/huge_pages.h"
#include "classifier/filter/filter.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kAlignment = 64;
/// Readable bytes after the last part. A cell is loaded as four bytes; and a kernel that selects
/// rather than branches reads a line 0, and a ninth outcome of it, where a table has no lines.
constexpr std::size_t kTailBytes = 128;

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// On a cache line of their own, in huge pages if they are many: lookups go everywhere in them.
/// Zeros from `written` on.
std::shared_ptr<std::byte> allocate_bytes(std::size_t bytes, std::size_t written) {
  std::byte* const memory = HugePages<std::byte>().allocate(aligned(bytes));
  std::memset(memory + written, 0, aligned(bytes) - written);
  return {memory, [](std::byte* freed) { HugePages<std::byte>().deallocate(freed, 0); }};
}

/// Gives each part its place; the sizes are in `header` already.
void place_parts(Header& header) {
  std::size_t offset = aligned(sizeof(Header));
  for (PartPlace& place : header.parts) {
    place.offset = offset;
    offset += aligned(place.bytes);
  }
  header.total_bytes = offset + kTailBytes;
}

template <typename Record>
const Record* records(const Table::Parts& parts, Part part) {
  return reinterpret_cast<const Record*>(parts[static_cast<std::size_t>(part)].bytes.get());
}

std::size_t part_bytes(const Header& header, Part part) {
  return header.parts[static_cast<std::size_t>(part)].bytes;
}

}  // namespace

TablePart TablePart::copy(std::span<const std::byte> bytes, std::size_t more) {
  const std::size_t size = bytes.size() + more;
  TablePart part{.bytes = allocate_bytes(size + kTailBytes, bytes.size()), .size = size};
  if (!bytes.empty()) {
    std::memcpy(part.bytes.get(), bytes.data(), bytes.size());
  }
  return part;
}

Table::~Table() = default;

/// Visits the bytes as they lie when in one piece, padding included.
template <typename Visitor>
void Table::for_each_piece(Visitor visit) const {
  static constexpr std::array<std::byte, std::max(kAlignment, kTailBytes)> kPadding{};
  const auto visit_padded = [&](std::span<const std::byte> piece) {
    visit(piece);
    visit(std::span(kPadding).first(aligned(piece.size()) - piece.size()));
  };
  visit_padded(std::as_bytes(std::span(&header_, 1)));
  for (const TablePart& part : parts_) {
    visit_padded(part.span());
  }
  visit(std::span(kPadding).first(kTailBytes));
}

std::string Table::digest() const {
  Digest digest;
  for_each_piece([&](std::span<const std::byte> piece) { digest.add(piece); });
  return digest.finish();
}

std::vector<std::byte> Table::bytes() const {
  std::vector<std::byte> bytes;
  bytes.reserve(header_.total_bytes);
  for_each_piece([&](std::span<const std::byte> piece) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  });
  return bytes;
}

std::size_t Table::assembled_bytes(const std::array<std::size_t, kPartCount>& part_bytes) {
  std::size_t total = aligned(sizeof(Header));
  for (const std::size_t bytes : part_bytes) {
    total += aligned(bytes);
  }
  return total + kTailBytes;
}

std::unique_ptr<const Table> Table::assemble(
    Header header, const std::array<std::span<const std::byte>, kPartCount>& parts) {
  for (std::size_t i = 0; i < kPartCount; ++i) {
    header.parts[i].bytes = parts[i].size();
  }
  place_parts(header);
  const std::size_t end = aligned(header.total_bytes);
  const std::shared_ptr<std::byte> memory = allocate_bytes(end, end);
  Parts shared;
  std::byte* written = memory.get();  // All before is; gaps are zeros.
  for (std::size_t i = 0; i < kPartCount; ++i) {
    std::byte* const at =
        std::fill_n(written, memory.get() + header.parts[i].offset - written, std::byte{});
    written = std::ranges::copy(parts[i], at).out;
    shared[i] = {.bytes = {memory, at}, .size = parts[i].size()};
  }
  std::fill(written, memory.get() + end, std::byte{});
  return share(header, std::move(shared));
}

std::unique_ptr<const Table> Table::share(Header header, Parts parts) {
  for (std::size_t i = 0; i < kPartCount; ++i) {
    header.parts[i].bytes = parts[i].size;
  }
  place_parts(header);
  std::unique_ptr<Table> table(new Table);
  table->header_ = header;
  table->parts_ = std::move(parts);
  table->read_view();
  table->read_sizes();
  return table;
}

void Table::read_view() {
  const Header& header = header_;
  view_.window_v4 = records<std::uint8_t>(parts_, Part::window_v4);
  view_.root_v4 = records<std::uint8_t>(parts_, Part::root_v4);
  view_.nodes_v4 = records<std::uint8_t>(parts_, Part::nodes_v4);
  view_.hosts_v6 = records<Host6>(parts_, Part::hosts_v6);
  view_.nodes_v6 = records<std::uint32_t>(parts_, Part::nodes_v6);
  view_.owners_v4 = records<Owner4>(parts_, Part::owners_v4);
  view_.sources = records<SourceRecord>(parts_, Part::sources);
  view_.destinations = records<DestinationRecord>(parts_, Part::destinations);
  view_.spans = records<Span>(parts_, Part::spans);
  view_.tiles = records<std::uint8_t>(parts_, Part::tiles);
  view_.outcomes = records<std::uint32_t>(parts_, Part::outcomes);
  view_.lines = records<PortLine>(parts_, Part::lines);
  view_.forks = records<Fork>(parts_, Part::forks);
  if (static_cast<PermitForm>(header.permits) != PermitForm::none) {
    view_.permits_wide = static_cast<PermitForm>(header.permits) == PermitForm::wide;
    view_.permit_rows = records<std::uint32_t>(parts_, Part::permit_rows);
    view_.permit_cells = records<std::uint32_t>(parts_, Part::permit_cells);
    view_.permit_lines = records<std::uint32_t>(parts_, Part::permit_lines);
    view_.permit_defaults = records<std::uint32_t>(parts_, Part::permit_defaults);
  }
  view_.filtered = part_bytes(header, Part::filter) != 0;
  if (view_.filtered) {
    view_.filter = filter_view(records<std::byte>(parts_, Part::filter));
    view_.filter.first_id = header.first_static_id;
  }
  view_.first_by_port = header.first_by_port;
  view_.first_open = header.first_open;
  view_.first_shut = header.transit_denied != 0 ? header.first_outside : kNoClass;
  view_.hosts_v6_mask = header.hosts_v6_mask;
  view_.owners_v4_mask = header.owners_v4_mask;
  view_.cell_shift = header.cell_shift;
  view_.cell_mask = header.cell_shift == 0 ? 0xffU : 0xffffU;
  view_.window_first = header.window_first;
  view_.window_size = header.window_size;
  view_.entry_shift = header.entry_shift;
  view_.entry_mask = header.entry_shift == 1 ? 0xffffU : 0xffff'ffffU;
}

void Table::read_sizes() {
  const Header& header = header_;
  const auto bytes_of = [&](Part part) {
    return static_cast<std::size_t>(header.parts[static_cast<std::size_t>(part)].bytes);
  };
  sizes_.total = header.total_bytes;
  sizes_.address_map_v4 =
      bytes_of(Part::window_v4) + bytes_of(Part::root_v4) + bytes_of(Part::nodes_v4);
  sizes_.address_map_v6 = bytes_of(Part::hosts_v6) + bytes_of(Part::nodes_v6);
  sizes_.port_map = bytes_of(Part::lines);
  sizes_.matrices = bytes_of(Part::spans) + bytes_of(Part::tiles);
  sizes_.profiles = bytes_of(Part::outcomes) + bytes_of(Part::forks);
  sizes_.class_records = bytes_of(Part::sources) + bytes_of(Part::destinations);
  sizes_.owners = bytes_of(Part::owners_v4);
  sizes_.permits = bytes_of(Part::permit_rows) + bytes_of(Part::permit_cells) +
                   bytes_of(Part::permit_lines) + bytes_of(Part::permit_defaults);
  sizes_.filter = bytes_of(Part::filter);
  sizes_.permit_lines = bytes_of(Part::permit_lines) / sizeof(PermitLine);
  sizes_.classes = header.class_count;
  sizes_.port_classes = bytes_of(Part::lines) / sizeof(PortLine);
  sizes_.profile_count = bytes_of(Part::outcomes) / sizeof(std::uint32_t);
}

}  // namespace portcullis::classifier
