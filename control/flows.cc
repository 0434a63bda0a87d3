// SPDX-License-Identifier: MIT
#include "control/flows.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "control/conntrack/quota_use.h"
#include "control/params.h"
#include "observe/enforced.h"
#include "policy/expect.h"

namespace portcullis::control {
namespace {

using dataplane::FlowAnswer;
using dataplane::FlowCounts;
using dataplane::FlowFilter;
using dataplane::FlowRecord;
using dataplane::FlowRequest;
using dataplane::FlowState;
using nlohmann::json;

constexpr std::size_t kLimitDefault = 1000;
/// Flows in one answer at most: a bound on the answer, and on the time that putting it together
/// takes from other clients.
constexpr std::size_t kLimitMax = 10'000;
constexpr std::size_t kTopDefault = 10;
constexpr std::size_t kTopMax = 1000;
constexpr std::uint64_t kSecondNs = 1'000'000'000;

/// By FlowProtocol.
constexpr std::array<const char*, dataplane::kFlowProtocols> kProtocolNames{
    "TCP", "UDP", "SCTP", "ICMP", "other"};
constexpr std::array kStates{
    FlowState::opening, FlowState::accepted, FlowState::established, FlowState::closing};

/// A number from `least` to `most`; absent: none.
tl::expected<std::optional<std::uint64_t>, RpcError> number_param(const json& params,
                                                                  const std::string& name,
                                                                  std::uint64_t least,
                                                                  std::uint64_t most) {
  const auto found = params.find(name);
  if (found == params.end()) {
    return std::nullopt;
  }
  if (!found->is_number_unsigned() || found->get<std::uint64_t>() < least ||
      found->get<std::uint64_t>() > most) {
    return wrong_params(fmt::format("{} is not a number from {} to {}", name, least, most));
  }
  return found->get<std::uint64_t>();
}

/// The blocks that one end's text stands for: a block, an address, or a pod's addresses.
Result<std::vector<Prefix>> blocks_of(const std::string& text,
                                      const policy::Locator& locator,
                                      std::vector<std::string>& warnings) {
  const auto block = parse_prefix(text);
  if (block) {
    return std::vector{*block};
  }
  // No namespace has a name like an address.
  if (const auto slash = text.find('/');
      slash != std::string::npos && parse_ip(std::string_view(text).substr(0, slash))) {
    return Failure(block.error());
  }
  PORTCULLIS_TRY(const policy::LocatedEnd end, locator.locate_end(text));
  if (end.ended) {
    warnings.push_back(
        fmt::format("pod {} has ended; flows of whatever holds its addresses now are meant", text));
  }
  std::vector<Prefix> blocks;
  for (const IpAddress& address : end.addresses) {
    blocks.push_back(prefix_of(address, address.width()));
  }
  return blocks;
}

tl::expected<void, RpcError> read_ends(const json& params,
                                       const policy::Locator& locator,
                                       FlowQuestion& question) {
  FlowFilter& filter = question.request.filter;
  for (const auto& [name, blocks] : {std::pair("from", &filter.from),
                                     std::pair("to", &filter.to),
                                     std::pair("address", &filter.either)}) {
    if (!params.contains(name)) {
      continue;
    }
    const auto text = text_param(params, name);
    if (!text) {
      return tl::unexpected(text.error());
    }
    auto found = blocks_of(*text, locator, question.warnings);
    if (!found) {
      return wrong_params(fmt::format("{}: {}", name, to_string(found.error())));
    }
    *blocks = *std::move(found);
  }
  return {};
}

tl::expected<void, RpcError> read_protocol(const json& params, FlowFilter& filter) {
  if (params.contains("protocol")) {
    const auto text = text_param(params, "protocol");
    if (!text) {
      return tl::unexpected(text.error());
    }
    const auto protocol = policy::parse_protocol(*text);
    if (!protocol) {
      return wrong_params("protocol: " + protocol.error().message);
    }
    filter.protocol = *protocol;
  }
  const auto port = number_param(params, "port", 1, 65'535);
  if (!port) {
    return tl::unexpected(port.error());
  }
  if (*port && filter.protocol == classifier::kProtocolIcmp) {
    return wrong_params("port: ICMP has no ports; leave it out");
  }
  if (*port) {
    filter.port = static_cast<std::uint16_t>(**port);
  }
  return {};
}

tl::expected<void, RpcError> read_state(const json& params, FlowFilter& filter) {
  if (!params.contains("state")) {
    return {};
  }
  const auto text = text_param(params, "state");
  if (!text) {
    return tl::unexpected(text.error());
  }
  const auto* const state = std::find_if(
      kStates.begin(), kStates.end(), [&](FlowState one) { return to_string(one) == *text; });
  if (state == kStates.end()) {
    return wrong_params(fmt::format(
        "state: {} is no state; write opening, accepted, established or closing", excerpt(*text)));
  }
  filter.state = *state;
  return {};
}

tl::expected<void, RpcError> read_by(const json& params, FlowQuestion& question) {
  const auto text = text_param(params, "by", "source");
  if (!text) {
    return tl::unexpected(text.error());
  }
  const auto word = top_word(*text);
  if (!word) {
    return wrong_params(fmt::format(
        "by: {} is nothing that flows are counted by; write source, destination, pair, port or "
        "namespace",
        excerpt(*text)));
  }
  question.top = *word;
  question.request.grouped_by = word->by;
  return {};
}

/// Of flows or groups in the answer.
tl::expected<void, RpcError> read_limit(const json& params, FlowQuestion& question) {
  const bool top = question.request.action == FlowRequest::Action::top;
  const auto limit = number_param(params, "limit", 1, top ? kTopMax : kLimitMax);
  if (!limit) {
    return tl::unexpected(limit.error());
  }
  question.limit = limit->value_or(top ? kTopDefault : kLimitDefault);
  question.request.records_max = top ? 0 : question.limit;
  return {};
}

/// To end every flow is too easily said by saying nothing.
tl::expected<void, RpcError> read_all(const json& params, const FlowFilter& filter) {
  const auto found = params.find("all");
  if (found != params.end() && !found->is_boolean()) {
    return wrong_params("all is neither true nor false");
  }
  const bool all = found != params.end() && found->get<bool>();
  if (filter.fits_all() && !all) {
    return wrong_params("all: without a filter every flow ends; say so by all if it is meant");
  }
  if (!filter.fits_all() && all) {
    return wrong_params("all and a filter contradict each other; leave one of them out");
  }
  return {};
}

/// Rules as JSON, each looked up once an answer.
class RuleNames {
 public:
  explicit RuleNames(const Reconcile& reconcile)
      : reconcile_(reconcile), epoch_(reconcile.dataplane().epoch) {}

  /// Null where the flow was judged under another table: its ids name other rules there.
  const json& of(const FlowRecord& flow, classifier::Decision decision) {
    if (flow.epoch != epoch_) {
      return unknown_;
    }
    const auto [found, is_new] = names_.try_emplace(decision.rule());
    if (is_new) {
      const std::optional<RuleName> name = reconcile_.rule_name(decision.rule());
      found->second = name ? to_json(*name) : json();
    }
    return found->second;
  }

 private:
  const Reconcile& reconcile_;
  const std::uint64_t epoch_;
  const json unknown_;
  std::unordered_map<classifier::RuleId, json> names_;
};

json flow_json(const FlowRecord& flow, std::uint32_t cpu, RuleNames& names) {
  const dataplane::FlowTuple& tuple = flow.tuple;
  json body = {{"protocol", observe::protocol_name(tuple.protocol)},
               {"source", to_string(IpAddress{tuple.family, tuple.src})},
               {"destination", to_string(IpAddress{tuple.family, tuple.dst})},
               {"state", to_string(flow.state)},
               {"timeout_s", flow.left_ns / kSecondNs},
               {"cpu", cpu},
               {"egress", names.of(flow, flow.verdict.egress)},
               {"ingress", names.of(flow, flow.verdict.ingress)}};
  switch (dataplane::flow_protocol(tuple.protocol)) {
    case dataplane::FlowProtocol::icmp:
      body["icmp_id"] = tuple.src_port;
      body["icmp_type"] = tuple.dst_port >> 8U;
      body["icmp_code"] = tuple.dst_port & 0xffU;
      break;
    case dataplane::FlowProtocol::other:
      break;
    default:
      body["source_port"] = tuple.src_port;
      body["destination_port"] = tuple.dst_port;
  }
  return body;
}

json list_json(const FlowQuestion& question,
               std::span<const FlowAnswer> answers,
               const Reconcile& reconcile) {
  return {{"flows", flows_json(answers, question.limit, reconcile)},
          {"matched", flows_matched(answers)},
          {"warnings", question.warnings}};
}

json groups_json(const FlowQuestion& question, std::span<const FlowAnswer> answers) {
  json body = top_json(answers, question.top, question.limit, question.view->snapshot());
  body["matched"] = flows_matched(answers);
  body["warnings"] = question.warnings;
  return body;
}

json counts_json(const FlowCounts& counts) {
  json body = json::object();
  for (std::size_t protocol = 0; protocol < counts.size(); ++protocol) {
    json& states = body[kProtocolNames.at(protocol)];
    for (const FlowState state : kStates) {
      states[std::string(to_string(state))] =
          counts.at(protocol).at(static_cast<std::size_t>(state));
    }
  }
  return body;
}

json stats_of(const dataplane::WorkerStatus& worker,
              const FlowCounts& counts,
              std::uint64_t flows_max) {
  return {{"flows", worker.flows},
          {"flows_max", flows_max},
          {"created", worker.flows_created},
          {"expired", worker.flows_expired},
          {"evicted", worker.flows_evicted},
          {"revalidated", worker.revalidated},
          {"revoked", worker.flows_revoked},
          {"protocols", counts_json(counts)}};
}

json stats_json(std::span<const FlowAnswer> answers,
                const Daemon& daemon,
                const Reconcile& reconcile) {
  const std::uint64_t flows_max = daemon.config.conntrack.flows_max;
  const dataplane::DataplaneStatus plane = reconcile.dataplane();
  const std::size_t count = std::min(plane.workers.size(), answers.size());
  dataplane::WorkerStatus total;
  FlowCounts total_counts{};
  json workers = json::array();
  for (std::size_t i = 0; i < count; ++i) {
    const dataplane::WorkerStatus& worker = plane.workers[i];
    json stats = stats_of(worker, answers[i].counts, flows_max);
    stats["cpu"] = worker.cpu;
    workers.push_back(std::move(stats));
    total.flows += worker.flows;
    total.flows_created += worker.flows_created;
    total.flows_expired += worker.flows_expired;
    total.flows_evicted += worker.flows_evicted;
    total.revalidated += worker.revalidated;
    total.flows_revoked += worker.flows_revoked;
    for (std::size_t protocol = 0; protocol < total_counts.size(); ++protocol) {
      for (std::size_t state = 0; state < dataplane::kFlowStates; ++state) {
        total_counts.at(protocol).at(state) += answers[i].counts.at(protocol).at(state);
      }
    }
  }
  json stats = {{"workers", std::move(workers)},
                {"total", stats_of(total, total_counts, flows_max * count)}};
  add_quota_use(answers, reconcile.options().quotas.get(), stats);
  return stats;
}

}  // namespace

bool is_flow_method(std::string_view method) {
  constexpr std::array<std::string_view, 4> kMethods{
      "conntrack.list", "conntrack.top", "conntrack.stats", "conntrack.flush"};
  return std::ranges::find(kMethods, method) != kMethods.end();
}

tl::expected<FlowQuestion, RpcError> flow_question(std::string_view method,
                                                   const json& params,
                                                   std::shared_ptr<const View> view) {
  using Action = FlowRequest::Action;
  FlowQuestion question{.view = std::move(view)};
  FlowRequest& request = question.request;
  tl::expected<void, RpcError> read;
  if (method == "conntrack.stats") {
    request.action = Action::count;
    read = only(params, {});
  } else if (method == "conntrack.flush") {
    request.action = Action::flush;
    read = only(params, {"from", "to", "address", "protocol", "port", "state", "all"});
  } else if (method == "conntrack.top") {
    request.action = Action::top;
    read = only(params, {"from", "to", "address", "protocol", "port", "state", "limit", "by"});
  } else {
    read = only(params, {"from", "to", "address", "protocol", "port", "state", "limit"});
  }
  read = read.and_then([&] { return read_ends(params, question.view->locator(), question); })
             .and_then([&] { return read_protocol(params, request.filter); })
             .and_then([&] { return read_state(params, request.filter); });
  if (read && request.action == Action::flush) {
    read = read_all(params, request.filter);
  }
  if (read && request.action == Action::top) {
    read = read_by(params, question);
  }
  if (read && (request.action == Action::list || request.action == Action::top)) {
    read = read_limit(params, question);
  }
  if (!read) {
    return tl::unexpected(std::move(read).error());
  }
  return question;
}

json flow_result(const FlowQuestion& question,
                 std::span<const FlowAnswer> answers,
                 const Daemon& daemon,
                 const Reconcile& reconcile) {
  switch (question.request.action) {
    case FlowRequest::Action::count:
      return stats_json(answers, daemon, reconcile);
    case FlowRequest::Action::flush:
      return {{"ended", flows_matched(answers)}, {"warnings", question.warnings}};
    case FlowRequest::Action::top:
      return groups_json(question, answers);
    default:
      return list_json(question, answers, reconcile);
  }
}

json flows_json(std::span<const FlowAnswer> answers,
                std::size_t limit,
                const Reconcile& reconcile) {
  RuleNames names(reconcile);
  json flows = json::array();
  for (const FlowAnswer& answer : answers) {
    for (const FlowRecord& flow : answer.records) {
      // Each worker has kept as many as are wanted of all together.
      if (flows.size() < limit) {
        flows.push_back(flow_json(flow, answer.cpu, names));
      }
    }
  }
  return flows;
}

std::uint64_t flows_matched(std::span<const FlowAnswer> answers) {
  std::uint64_t flows = 0;
  for (const FlowAnswer& answer : answers) {
    flows += dataplane::sum(answer.counts);
  }
  return flows;
}

}  // namespace portcullis::control
