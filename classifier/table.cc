// SPDX-License-Identifier: MIT
#include "classifier/table.h"

#include <cstdlib>
#include <cstring>

#include <sys/mman.h>

#include "base/check.h"
#include "base/digest.h"
#include "classifier/filter/filter.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kAlignment = 64;
/// Readable bytes after the last part. A cell is loaded as four bytes; and a kernel that selects
/// rather than branches reads a line 0, and a ninth outcome of it, where a table has no lines.
constexpr std::size_t kTailBytes = 128;

/// A table of this size asks for huge pages: lookups go everywhere in it, and a page in 4 KiB
/// pieces costs a walk of the page table nearly each time.
constexpr std::size_t kHugePageBytes = std::size_t{2} << 20U;

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::byte* allocate(std::size_t bytes) {
  const bool huge = bytes >= kHugePageBytes;
  const std::size_t alignment = huge ? kHugePageBytes : kAlignment;
  const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, whole);
  PORTCULLIS_CHECK(memory != nullptr);
  if (huge) {
    madvise(memory, whole, MADV_HUGEPAGE);  // A wish: the kernel may lack them.
  }
  return static_cast<std::byte*>(memory);
}

const Header& header_of(const std::byte* bytes) {
  return *reinterpret_cast<const Header*>(bytes);
}

template <typename Record>
const Record* records(const std::byte* bytes, Part part) {
  const auto place = header_of(bytes).parts[static_cast<std::size_t>(part)];
  return reinterpret_cast<const Record*>(bytes + place.offset);
}

std::size_t part_bytes(const Header& header, Part part) {
  return header.parts[static_cast<std::size_t>(part)].bytes;
}

}  // namespace

Table::~Table() = default;

void Table::Free::operator()(std::byte* bytes) const noexcept {
  std::free(bytes);
}

std::string Table::digest() const {
  return Digest().add(bytes()).finish();
}

std::span<const std::byte> Table::bytes() const {
  return {bytes_.get(), header_of(bytes_.get()).total_bytes};
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
  std::size_t offset = aligned(sizeof(Header));
  for (std::size_t i = 0; i < kPartCount; ++i) {
    header.parts[i] = {.offset = offset, .bytes = parts[i].size()};
    offset += aligned(parts[i].size());
  }
  header.total_bytes = offset + kTailBytes;

  std::unique_ptr<Table> table(new Table);
  table->bytes_.reset(allocate(header.total_bytes));
  std::memset(table->bytes_.get(), 0, header.total_bytes);  // Padding is part of the digest.
  std::memcpy(table->bytes_.get(), &header, sizeof(header));
  for (std::size_t i = 0; i < kPartCount; ++i) {
    if (!parts[i].empty()) {
      std::memcpy(table->bytes_.get() + header.parts[i].offset, parts[i].data(), parts[i].size());
    }
  }
  table->read_view();
  table->read_sizes();
  return table;
}

void Table::read_view() {
  const std::byte* bytes = bytes_.get();
  const Header& header = header_of(bytes);
  view_.window_v4 = records<std::uint8_t>(bytes, Part::window_v4);
  view_.root_v4 = records<std::uint8_t>(bytes, Part::root_v4);
  view_.nodes_v4 = records<std::uint8_t>(bytes, Part::nodes_v4);
  view_.hosts_v6 = records<Host6>(bytes, Part::hosts_v6);
  view_.nodes_v6 = records<std::uint32_t>(bytes, Part::nodes_v6);
  view_.owners_v4 = records<Owner4>(bytes, Part::owners_v4);
  view_.sources = records<SourceRecord>(bytes, Part::sources);
  view_.destinations = records<DestinationRecord>(bytes, Part::destinations);
  view_.spans = records<Span>(bytes, Part::spans);
  view_.tiles = records<std::uint8_t>(bytes, Part::tiles);
  view_.outcomes = records<std::uint32_t>(bytes, Part::outcomes);
  view_.lines = records<PortLine>(bytes, Part::lines);
  view_.forks = records<Fork>(bytes, Part::forks);
  if (header.permits != 0) {
    view_.permit_rows = records<std::uint32_t>(bytes, Part::permit_rows);
    view_.permit_cells = records<std::uint32_t>(bytes, Part::permit_cells);
    view_.permit_lines = records<std::uint32_t>(bytes, Part::permit_lines);
    view_.permit_defaults = records<std::uint32_t>(bytes, Part::permit_defaults);
  }
  view_.filtered = part_bytes(header, Part::filter) != 0;
  if (view_.filtered) {
    view_.filter = filter_view(records<std::byte>(bytes, Part::filter));
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
  const Header& header = header_of(bytes_.get());
  const auto bytes_of = [&](Part part) { return part_bytes(header, part); };
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
