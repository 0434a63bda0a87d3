// SPDX-License-Identifier: MIT
#include "control/commands.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/time_text.h"
#include "control/flows.h"
#include "control/params.h"
#include "observe/explain.h"
#include "policy/expect.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

/// A message up to this size is parsed at once; a larger one waits for the lane, where it holds up
/// nobody's status.
constexpr std::size_t kInlineBytesMax = std::size_t{64} << 10U;
constexpr std::string_view kMethods =
    "hello, commit, confirm, plan, status, history, rollback, explain, conntrack.list, "
    "conntrack.stats, conntrack.flush, port.add and port.remove";

/// Flows that a plan names.
constexpr std::size_t kFlowsShown = 100;

using FlowAnswers = Result<std::vector<dataplane::FlowAnswer>>;

dataplane::FlowRequest flows_denied_by(std::shared_ptr<const classifier::Table> table,
                                       std::size_t records_max = 0) {
  return {.action = records_max == 0 ? dataplane::FlowRequest::Action::count
                                     : dataplane::FlowRequest::Action::list,
          .filter = {.denied_by = std::move(table)},
          .records_max = records_max};
}

/// Null where a worker has not answered.
json count_json(const FlowAnswers& answers) {
  return answers ? json(flows_matched(*answers)) : json();
}

std::uint64_t flows_revoked(const Reconcile& reconcile) {
  std::uint64_t flows = 0;
  for (const dataplane::WorkerStatus& worker : reconcile.dataplane().workers) {
    flows += worker.flows_revoked;
  }
  return flows;
}

tl::unexpected<RpcError> rejected(const Rejection& rejection) {
  const auto& diagnostics = rejection.diagnostics;
  return refuse(RpcCode::rejected,
                rejection.message,
                {{"diagnostics", to_json(std::span(diagnostics))},
                 {"diagnostics_total", diagnostics.size()}});
}

/// Packets that policy denied, since start.
std::uint64_t denied_packets(const dataplane::DataplaneStatus& plane) {
  std::uint64_t denied = 0;
  for (const dataplane::WorkerStatus& worker : plane.workers) {
    for (const auto reason :
         {dataplane::DropReason::policy_denied, dataplane::DropReason::policy_deny}) {
      const auto index = static_cast<std::size_t>(reason);
      denied += index < worker.drops.size() ? worker.drops[index] : 0;
    }
  }
  return denied;
}

/// The port of `explain`: a number, or "-" for a flow that only rules without ports match.
tl::expected<std::string, RpcError> port_text(const json& params) {
  const auto found = params.find("port");
  if (found == params.end() || found->is_null()) {
    return std::string("-");
  }
  if (found->is_number_unsigned()) {
    return std::to_string(found->get<std::uint64_t>());
  }
  if (found->is_string()) {
    return found->get<std::string>();
  }
  return wrong_params("port is neither a number from 0 to 65535 nor \"-\"");
}

}  // namespace

/// One on its way.
struct Commands::Change {
  Intent intent;
  Done done;
  Prepared prepared;
  std::shared_ptr<const classifier::Table> table;  // Of what is prepared.
  FlowAnswers denied;                              // By this table, counted ahead of it.
  FlowAnswers ended;                               // The same when it ran.
  std::uint64_t revoked = 0;                       // By packets, ahead of it.
  json result;
};

Commands::Commands(Lane& lane, Reconcile& reconcile, Daemon daemon, Roles roles, Audit audit)
    : lane_(lane),
      reconcile_(reconcile),
      daemon_(std::move(daemon)),
      roles_(std::move(roles)),
      audit_(std::move(audit)),
      ports_(daemon_.config, daemon_.port_driver) {}

void Commands::handle(const Caller& caller, std::string message, const Server::Reply& reply) {
  using Parsing = tl::expected<Request, Refusal>;
  const auto proceed = [this, caller, reply](Parsing parsed) {
    if (!parsed) {
      reply(error_line(parsed.error().id, parsed.error().error));
      return;
    }
    const auto answer_to = [reply, id = parsed->id, wants = parsed->wants_reply](Answer answer) {
      if (!wants) {
        reply({});
      } else if (answer) {
        reply(result_line(id, *std::move(answer)));
      } else {
        reply(error_line(id, answer.error()));
      }
    };
    const std::string& method = parsed->method;
    const auto permitted = roles_.permit(caller, method);
    Done done = answer_to;
    if (!permitted || is_audited(method)) {
      const auto intent = intent_of(caller, parsed->params);
      done = audited(caller.text(),
                     audit_text(method, parsed->params),
                     intent ? intent->comment : "",
                     std::move(done));
    }
    if (!permitted) {
      log::warn("control: {}", permitted.error().message);
      return done(tl::unexpected(permitted.error()));
    }
    dispatch(caller, *std::move(parsed), done);
  };
  if (message.size() <= kInlineBytesMax) {
    proceed(parse_request(message));
    return;
  }
  auto parsed = std::make_shared<Parsing>();
  lane_.run([parsed, message = std::move(message)] { *parsed = parse_request(message); },
            [parsed, proceed] { proceed(std::move(*parsed)); });
}

Commands::Done Commands::audited(std::string who,
                                 std::string what,
                                 std::string comment,
                                 Done done) {
  AuditEntry entry{.who = std::move(who), .what = std::move(what), .comment = std::move(comment)};
  return [this, entry = std::move(entry), done = std::move(done)](Answer answer) {
    record(entry, answer);
    done(std::move(answer));
  };
}

void Commands::record(AuditEntry entry, const Answer& answer) {
  if (!reconcile_.history().empty()) {
    entry.digest_after = reconcile_.history().back().digest;
  }
  const bool has_replaced = answer && answer->contains("replaced");
  entry.digest_before =
      has_replaced ? (*answer)["replaced"].get<std::string>() : entry.digest_after;
  if (!answer) {
    entry.error = answer.error().message;
  }
  audit_.record(entry);
}

void Commands::dispatch(const Caller& caller, Request request, const Done& done) {
  const std::string& method = request.method;
  json& params = request.params;
  if (method == "status" || method == "history") {
    if (const auto known = only(params, {}); !known) {
      return done(tl::unexpected(known.error()));
    }
    return done(method == "status" ? status_json(daemon_, reconcile_, trial_, last_undone_)
                                   : history_json(reconcile_));
  }
  if (method == "hello") {
    return done(hello(params));
  }
  if (method == "explain") {
    return done(explain(params));
  }
  if (method == "commit") {
    return commit_request(caller, params, done);
  }
  if (method == "confirm") {
    return done(confirm(caller, params));
  }
  if (method == "plan") {
    return plan_request(params, done);
  }
  if (method == "rollback") {
    return rollback_request(caller, params, done);
  }
  if (method == "conntrack.list" || method == "conntrack.stats" || method == "conntrack.flush") {
    return flows_request(caller, request, done);
  }
  if (method == "port.add" || method == "port.remove") {
    return done(ports_.change(caller, request));
  }
  done(refuse(RpcCode::method_not_found,
              fmt::format("there is no method {}; there are {}", excerpt(method), kMethods)));
}

Answer Commands::hello(const json& params) const {
  if (const auto known = only(params, {"protocol", "client"}); !known) {
    return tl::unexpected(known.error());
  }
  const auto wanted = params.find("protocol");
  const bool speaks =
      wanted == params.end() || *wanted == kProtocolVersion ||
      (wanted->is_array() &&
       std::find(wanted->begin(), wanted->end(), json(kProtocolVersion)) != wanted->end());
  if (!speaks) {
    return refuse(RpcCode::unsupported_protocol,
                  fmt::format("protocol {} is spoken here", kProtocolVersion),
                  {{"supported", json::array({kProtocolVersion})}});
  }
  return json{
      {"protocol", kProtocolVersion}, {"server", "portcullisd"}, {"version", PORTCULLIS_VERSION}};
}

void Commands::commit_request(const Caller& caller, json& params, const Done& done) {
  if (const auto known = only(params, {"manifests", "comment", "confirm_s", "guards"}); !known) {
    return done(tl::unexpected(known.error()));
  }
  auto intent = intent_of(caller, params);
  if (!intent) {
    return done(tl::unexpected(std::move(intent).error()));
  }
  auto terms = terms_of(params);
  if (!terms) {
    return done(tl::unexpected(std::move(terms).error()));
  }
  intent->terms = *std::move(terms);
  auto manifests = manifests_of(params);
  if (!manifests) {
    return done(tl::unexpected(std::move(manifests).error()));
  }
  commit(*std::move(manifests), *std::move(intent), done);
}

void Commands::plan_request(json& params, const Done& done) {
  if (const auto known = only(params, {"manifests"}); !known) {
    return done(tl::unexpected(known.error()));
  }
  auto manifests = manifests_of(params);
  if (!manifests) {
    return done(tl::unexpected(std::move(manifests).error()));
  }
  struct Plan {
    Prepared prepared;
    FlowAnswers denied;
  };
  auto plan = std::make_shared<Plan>();
  const auto compile = [this, plan, manifests = *std::move(manifests)] {
    plan->prepared = reconcile_.prepare(manifests);
    if (plan->prepared) {
      plan->denied = reconcile_.flows(flows_denied_by(plan->prepared->table, kFlowsShown));
    }
  };
  lane_.run(compile, [this, plan, done] {
    if (!plan->prepared) {
      return done(rejected(plan->prepared.error()));
    }
    const Candidate& candidate = *plan->prepared;
    const bool changes = !reconcile_.enforces(candidate);
    json result =
        changes ? to_json(reconcile_.planned(candidate, {})) : to_json(reconcile_.history().back());
    result["changed"] = changes;
    result["warnings"] = to_json(std::span(candidate.warnings));
    result["flows"] = {
        {"denied", count_json(plan->denied)},
        {"examples",
         plan->denied ? flows_json(*plan->denied, kFlowsShown, reconcile_) : json::array()}};
    done(std::move(result));
  });
}

void Commands::rollback_request(const Caller& caller, const json& params, const Done& done) {
  if (const auto known = only(params, {"revision", "comment"}); !known) {
    return done(tl::unexpected(known.error()));
  }
  auto intent = intent_of(caller, params);
  if (!intent) {
    return done(tl::unexpected(std::move(intent).error()));
  }
  const auto revision = params.find("revision");
  if (revision == params.end() || revision->is_null()) {
    return rollback(std::nullopt, *std::move(intent), done);
  }
  if (!revision->is_number_unsigned()) {
    return done(wrong_params("revision is not a number of the history"));
  }
  rollback(revision->get<std::uint64_t>(), *std::move(intent), done);
}

void Commands::flows_request(const Caller& caller, const Request& request, const Done& done) {
  auto question = flow_question(request.method, request.params, reconcile_.locator());
  if (!question) {
    return done(tl::unexpected(std::move(question).error()));
  }
  auto answers = std::make_shared<FlowAnswers>();
  const auto ask = [this, answers, wanted = question->request] {
    *answers = reconcile_.flows(wanted);
  };
  // Nothing is published between these two: the epoch of now is that of the flows.
  lane_.run(ask, [this, answers, done, who = caller.text(), question = *std::move(question)] {
    if (!*answers) {
      return done(refuse(RpcCode::not_answered, answers->error().message));
    }
    if (question.request.action == dataplane::FlowRequest::Action::flush) {
      log::info("control: flows ended by {}: {}", who, flows_matched(**answers));
    }
    done(flow_result(question, **answers, daemon_, reconcile_));
  });
}

void Commands::reload(std::vector<policy::Manifest> manifests, Done done) {
  Intent intent{.who = "SIGHUP", .comment = "reload"};
  done = audited(intent.who, "reload", intent.comment, std::move(done));
  commit(std::move(manifests), std::move(intent), std::move(done));
}

void Commands::commit(std::vector<policy::Manifest> manifests, Intent intent, Done done) {
  auto owned = std::make_shared<const std::vector<policy::Manifest>>(std::move(manifests));
  change([this, owned] { return reconcile_.prepare(*owned); }, std::move(intent), std::move(done));
}

void Commands::rollback(std::optional<std::uint64_t> number, Intent intent, Done done) {
  const Revision* target = nullptr;
  if (!number && trial_.pending()) {
    target = &trial_.base();
  } else {
    const auto found = reconcile_.find(number);
    if (!found) {
      return done(refuse(RpcCode::unknown_revision, found.error().message));
    }
    target = *found;
  }
  intent.rollback_to = target->number;
  // The snapshot stays alive even if the revision leaves the history meanwhile.
  change([this, snapshot = target->snapshot] { return reconcile_.prepare(snapshot); },
         std::move(intent),
         std::move(done));
}

tl::expected<void, RpcError> Commands::may_change(const Intent& intent) const {
  if (!trial_.pending() || intent.ends_trial) {
    return {};
  }
  const std::uint64_t tried = trial_.tried().number;
  if (trial_.is_undoing()) {
    return refuse(RpcCode::on_trial,
                  fmt::format("revision {} is being undone this moment; try again", tried));
  }
  if (intent.terms || intent.rollback_to) {
    return {};
  }
  return refuse(
      RpcCode::on_trial,
      fmt::format("revision {} by {} is on trial for another {}: `portcullis confirm` keeps it, "
                  "`portcullis rollback` undoes it, and `commit --confirm` goes on from it",
                  tried,
                  trial_.tried().intent.who,
                  span_text(trial_.left(Trial::Clock::now()))));
}

Answer Commands::confirm(const Caller& caller, const json& params) {
  if (const auto known = only(params, {"revision"}); !known) {
    return tl::unexpected(known.error());
  }
  const auto revision = params.find("revision");
  const bool is_named = revision != params.end() && !revision->is_null();
  if (is_named && !revision->is_number_unsigned()) {
    return wrong_params("revision is not a number of the history");
  }
  if (!trial_.pending()) {
    return refuse(RpcCode::no_trial,
                  last_undone_ ? fmt::format("nothing is on trial; revision {} was undone: {}",
                                             last_undone_->revision,
                                             last_undone_->reason)
                               : "nothing is on trial");
  }
  if (trial_.is_undoing()) {
    return refuse(RpcCode::no_trial,
                  fmt::format("too late: revision {} is being undone", trial_.tried().number));
  }
  if (is_named && *revision != trial_.tried().number) {
    return refuse(RpcCode::no_trial,
                  fmt::format("revision {} is on trial, not {}",
                              trial_.tried().number,
                              revision->get<std::uint64_t>()));
  }
  json result = to_json(trial_.tried());
  trial_.end();
  log::info("control: revision {} confirmed by {}", result["revision"].dump(), caller.text());
  return result;
}

void Commands::tick(Trial::Clock::time_point now) {
  trial_.observe(denied_packets(reconcile_.dataplane()), now);
  if (!trial_.pending()) {
    return;
  }
  if (auto reason = trial_.reason_to_undo(now)) {
    undo_trial(*std::move(reason));
  }
}

void Commands::undo_trial(std::string reason) {
  const Revision& base = trial_.base();
  Undone undone{.revision = trial_.tried().number, .base = base.number, .reason = reason};
  log::warn("control: undoing revision {}: {}", undone.revision, reason);
  Intent intent{.who = "portcullisd",
                .comment = fmt::format("revision {} undone: {}", undone.revision, reason),
                .rollback_to = base.number,
                .ends_trial = true};
  const auto done = [this, undone = std::move(undone)](const Answer& answer) {
    if (!answer) {
      log::error("control: revision {} could not be undone, and is tried again in {}: {}",
                 undone.revision,
                 span_text(Trial::kRetry),
                 answer.error().message);
      return trial_.undoing_failed(Trial::Clock::now());
    }
    last_undone_ = undone;
    last_undone_->time = std::chrono::system_clock::now();
  };
  trial_.set_undoing();
  Done audited_done = audited(intent.who, "undo", intent.comment, done);
  change([this, snapshot = base.snapshot] { return reconcile_.prepare(snapshot); },
         std::move(intent),
         std::move(audited_done));
}

void Commands::change(std::function<Prepared()> compile, Intent intent, Done done) {
  if (const auto free = may_change(intent); !free) {
    return refuse_change(intent, free.error(), done);
  }
  auto change = std::make_shared<Change>();
  change->intent = std::move(intent);
  change->done = std::move(done);
  const auto prepare = [this, change, compile = std::move(compile)] {
    change->prepared = compile();
    if (change->prepared) {
      change->table = change->prepared->table;
      change->denied = reconcile_.flows(flows_denied_by(change->table));
    }
  };
  lane_.run(prepare, [this, change] { enforce(change); });
}

void Commands::refuse_change(const Intent& intent, const RpcError& error, const Done& done) {
  log::error("control: change by {} refused: {}", intent.who, error.message);
  reconcile_.record_refusal(
      {.time = std::chrono::system_clock::now(), .who = intent.who, .message = error.message});
  done(tl::unexpected(error));
}

void Commands::enforce(const std::shared_ptr<Change>& change) {
  const Intent& intent = change->intent;
  if (!change->prepared) {
    return refuse_change(intent, rejected(change->prepared.error()).value(), change->done);
  }
  // A trial may have begun while this was compiled.
  if (const auto free = may_change(intent); !free) {
    return refuse_change(intent, free.error(), change->done);
  }
  const std::vector<policy::Diagnostic> warnings = std::move(change->prepared->warnings);
  const std::optional<Revision> before =
      reconcile_.history().empty() ? std::nullopt : std::optional(reconcile_.history().back());
  change->revoked = flows_revoked(reconcile_);
  const auto applied = reconcile_.apply(*std::move(change->prepared), intent);
  if (!applied) {
    return refuse_change(
        intent, refuse(RpcCode::not_published, to_string(applied.error())).value(), change->done);
  }
  if (intent.rollback_to) {
    trial_.end();
  } else if (intent.terms && before && (applied->changed || trial_.pending())) {
    trial_.begin(applied->revision, *before, *intent.terms, Trial::Clock::now());
  }
  json& result = change->result;
  result = to_json(applied->revision);
  result["trial"] = trial_json(trial_);
  result["changed"] = applied->changed;
  if (applied->changed && before) {
    result["replaced"] = before->digest;
  }
  result["warnings"] = to_json(std::span(warnings));
  result["flows"] = {{"denied", count_json(change->denied)}, {"ended", 0}};
  if (applied->changed) {
    return end_denied(change, applied->epoch);
  }
  change->done(std::move(result));
}

/// By their next packet they would end, too; but some have none for hours, and who asked wants to
/// know how many they are.
void Commands::end_denied(const std::shared_ptr<Change>& change, std::uint64_t epoch) {
  const auto answer = [this, change] {
    json& result = change->result;
    json& ended = result["flows"]["ended"];
    ended = count_json(change->ended);
    if (change->ended) {
      ended = flows_matched(*change->ended) + flows_revoked(reconcile_) - change->revoked;
    }
    const json& counts = result["counts"];
    log::info(
        "control: revision {} by {}: {} policies, {} pods, {} rules, table of {} bytes, {} "
        "flows ended",
        result["revision"].dump(),
        change->intent.who,
        counts["policies"].dump(),
        counts["pods"].dump(),
        counts["rules"].dump(),
        change->table->sizes().total,
        ended.dump());
    change->done(std::move(result));
  };
  if (daemon_.config.conntrack.established == config::Conntrack::Established::keep) {
    return answer();
  }
  // What a later table has judged meanwhile is that one's.
  dataplane::FlowRequest request = flows_denied_by(change->table);
  request.action = dataplane::FlowRequest::Action::flush;
  request.filter.judged_before = epoch;
  lane_.run([this, change, request] { change->ended = reconcile_.flows(request); }, answer);
}

Answer Commands::explain(const json& params) const {
  if (const auto known = only(params, {"from", "to", "protocol", "port"}); !known) {
    return tl::unexpected(known.error());
  }
  const auto from = text_param(params, "from");
  const auto to = text_param(params, "to");
  const auto protocol_text = text_param(params, "protocol", "TCP");
  const auto port = port_text(params);
  for (const auto* text : {&from, &to, &protocol_text, &port}) {
    if (!*text) {
      return tl::unexpected(text->error());
    }
  }
  const auto protocol = policy::parse_protocol(*protocol_text);
  if (!protocol) {
    return wrong_params("protocol: " + protocol.error().message);
  }
  const auto number = policy::parse_port(*port, *protocol);
  if (!number) {
    return wrong_params("port: " + number.error().message);
  }
  const auto located = reconcile_.locator().locate(
      {.src = *from, .dst = *to, .protocol = *protocol, .port = number->value_or(0)});
  if (!located) {
    return wrong_params(to_string(located.error()));
  }
  const observe::Explanation explanation = reconcile_.explainer().explain(located->flow);
  return json{{"allowed", explanation.allowed},
              {"revision", reconcile_.history().back().number},
              {"explanation", json::parse(observe::to_json(explanation), nullptr, false)},
              {"text", observe::to_text(explanation)},
              {"warnings", located->warnings}};
}

}  // namespace portcullis::control
