// SPDX-License-Identifier: MIT
#include "policy/locate.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace portcullis::policy {

namespace {

const IpAddress* first_of(const std::vector<IpAddress>& addresses, Family family) {
  const auto found =
      std::find_if(addresses.begin(), addresses.end(), [&](const IpAddress& address) {
        return address.family == family;
      });
  return found == addresses.end() ? nullptr : &*found;
}

void warn_if_ended(const Pod* pod, const IpAddress& address, std::vector<std::string>& warnings) {
  if (pod != nullptr && pod->terminated) {
    warnings.push_back(
        fmt::format("pod {}/{} ({}) has ended; its last address {} is judged as "
                    "whatever holds it now",
                    pod->name_space,
                    pod->name,
                    to_string(pod->where),
                    to_string(address)));
  }
}

}  // namespace

Locator::Locator(const Snapshot& snapshot) {
  for (const Pod& pod : snapshot.pods) {
    pods_.emplace(pod.name_space + "/" + pod.name, &pod);
  }
}

Result<Located> Locator::locate(const FlowText& text) const {
  PORTCULLIS_TRY(const End src, end_of(text.src));
  PORTCULLIS_TRY(const End dst, end_of(text.dst));
  // The source's primary address decides the family where the destination has one of it.
  const IpAddress* from = &src.addresses.front();
  const IpAddress* to = first_of(dst.addresses, from->family);
  if (to == nullptr) {
    to = &dst.addresses.front();
    from = first_of(src.addresses, to->family);
  }
  if (from == nullptr) {
    return fail(fmt::format("{} and {} have no address family in common", text.src, text.dst));
  }
  Located located{
      {.src = *from, .dst = *to, .protocol = text.protocol, .src_port = 0, .dst_port = text.port},
      {}};
  // What begins a flow: a handshake's first packet, a ping's request.
  constexpr std::uint8_t kSyn = 0x02;
  constexpr std::uint16_t kEchoRequest = 8 << 8;
  constexpr std::uint16_t kEchoRequestV6 = 128 << 8;
  if (text.protocol == classifier::kProtocolTcp) {
    located.flow.tcp_flags = kSyn;
  } else if (text.protocol == classifier::kProtocolIcmp) {
    const bool v6 = from->family == Family::v6;
    located.flow.protocol = v6 ? classifier::kProtocolIcmpv6 : classifier::kProtocolIcmp;
    located.flow.icmp = v6 ? kEchoRequestV6 : kEchoRequest;
  }
  warn_if_ended(src.pod, *from, located.warnings);
  warn_if_ended(dst.pod, *to, located.warnings);
  return located;
}

Result<LocatedEnd> Locator::locate_end(std::string_view text) const {
  PORTCULLIS_TRY(End end, end_of(text));
  return LocatedEnd{.addresses = std::move(end.addresses),
                    .ended = end.pod != nullptr && end.pod->terminated};
}

Result<Locator::End> Locator::end_of(std::string_view text) const {
  if (text.find('/') == std::string_view::npos) {
    if (auto address = parse_ip(text)) {
      return End{{*address}, nullptr};
    }
    return fail(fmt::format("\"{}\" is neither an IP address nor namespace/pod", text));
  }
  const auto found = pods_.find(std::string(text));
  if (found == pods_.end()) {
    return fail(fmt::format("there is no pod {}{}", text, suggestion(text)));
  }
  const Pod& pod = *found->second;
  if (pod.addresses.empty()) {
    return fail(
        fmt::format("pod {} ({}) has no address (status.podIP)", text, to_string(pod.where)));
  }
  return End{pod.addresses, &pod};
}

/// Names a pod that was probably meant: the same name elsewhere, or one that begins alike.
std::string Locator::suggestion(std::string_view text) const {
  const std::string_view name = text.substr(text.find('/') + 1);
  std::string_view best;
  const auto consider = [&](std::string_view candidate) {
    if (best.empty() || candidate < best) {
      best = candidate;
    }
  };
  for (const auto& [candidate, pod] : pods_) {
    if (pod->name == name || std::string_view(candidate).starts_with(text)) {
      consider(candidate);
    }
  }
  return best.empty() ? std::string() : fmt::format("; did you mean {}?", best);
}

}  // namespace portcullis::policy
