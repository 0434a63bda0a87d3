// SPDX-License-Identifier: MIT
// Fuzzes the reading of the archive's journal: any bytes give records or damage, never a crash; and
// a line that holds any JSON with the right checksum is a usable record or none.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "control/protocol.h"
#include "control/state/journal.h"
#include "control/state/record.h"

using namespace portcullis::control;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), count);
  if (const auto journal = parse_journal(text)) {
    for (const nlohmann::json& record : journal->records) {
      PORTCULLIS_CHECK(record.is_object());
      static_cast<void>(read_record(record));
    }
  }
  // A mutated line rarely has its checksum; so the JSON in it is read without one.
  constexpr std::size_t kBeforeJson = 17;
  if (const auto json = parse_bounded(text.substr(count < kBeforeJson ? 0 : kBeforeJson))) {
    if (const auto read =
            json->is_object() ? read_record(*json) : portcullis::fail("not an object");
        read && read->kept) {
      // What was read is written as what reads the same.
      const auto again = read_record(record_of(*read->kept));
      PORTCULLIS_CHECK(again && again->kept);
      PORTCULLIS_CHECK(record_of(*again->kept) == record_of(*read->kept));
    }
  }
  return 0;
}
