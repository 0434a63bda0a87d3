// SPDX-License-Identifier: MIT
#include "classifier/lookup.h"

#include "classifier/table_body.h"

namespace portcullis::classifier {

void lookup(const Table& table, std::span<const Key4> keys, std::span<Verdict> verdicts) noexcept {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    verdicts[i] = lookup(table,
                         Flow{.src = IpAddress::from_v4(keys[i].src),
                              .dst = IpAddress::from_v4(keys[i].dst),
                              .protocol = keys[i].protocol,
                              .src_port = keys[i].src_port,
                              .dst_port = keys[i].dst_port});
  }
}

void lookup(const Table& table, std::span<const Key6> keys, std::span<Verdict> verdicts) noexcept {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    verdicts[i] = lookup(table,
                         Flow{.src = IpAddress::from_v6(keys[i].src),
                              .dst = IpAddress::from_v6(keys[i].dst),
                              .protocol = keys[i].protocol,
                              .src_port = keys[i].src_port,
                              .dst_port = keys[i].dst_port});
  }
}

Verdict lookup(const Table& table, const Flow& flow) noexcept {
  return table.body().matcher.lookup(flow);
}

Result<void> force_isa(Isa isa) {
  if (isa != Isa::scalar) {
    return fail("no kernel is built for '" + std::string(to_string(isa)) + "'; use scalar");
  }
  return {};
}

Isa current_isa() noexcept {
  return Isa::scalar;
}

}  // namespace portcullis::classifier
