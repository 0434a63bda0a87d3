// SPDX-License-Identifier: MIT
// Whatever a manifest holds: load() ends, says where what is wrong, and says the same again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "policy/snapshot.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace portcullis;
  const policy::Manifest manifest{"fuzz", std::string(reinterpret_cast<const char*>(bytes), size)};
  const policy::Loaded loaded = policy::load({&manifest, 1});
  for (const policy::Diagnostic& diagnostic : loaded.diagnostics) {
    PORTCULLIS_CHECK(diagnostic.where.file == "fuzz" && diagnostic.where.line > 0);
    PORTCULLIS_CHECK(!diagnostic.message.empty() && diagnostic.message.size() < 1000);
  }
  const policy::Loaded again = policy::load({&manifest, 1});
  PORTCULLIS_CHECK(again.diagnostics.size() == loaded.diagnostics.size());
  PORTCULLIS_CHECK(policy::digest(again.snapshot) == policy::digest(loaded.snapshot));
  return 0;
}
