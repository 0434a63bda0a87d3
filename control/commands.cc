// SPDX-License-Identifier: MIT
#include "control/commands.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
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
    "hello, commit, edit, confirm, plan, status, history, show, diff, rollback, explain, "
    "conntrack.list, "
    "conntrack.top, conntrack.stats, conntrack.flush, port.add and port.remove";

/// One of those that are done one after another, and may wait for one another.
bool is_change(std::string_view method) {
  constexpr std::array kChanges{"plan", "commit", "edit", "rollback", "confirm"};
  return std::find(kChanges.begin(), kChanges.end(), method) != kChanges.end();
}

RpcError no_place(const OpenChanges& open) {
  return {.code = RpcCode::changes_wait,
          .message = fmt::format("{} changes are not answered yet: ask again when some are, or "
                                 "raise control.changes_max",
                                 open.used())};
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

/// A revision's number, which may be left out.
tl::expected<std::optional<std::uint64_t>, RpcError> revision_of(const json& params,
                                                                 const char* name = "revision") {
  const auto revision = params.find(name);
  if (revision == params.end() || revision->is_null()) {
    return std::nullopt;
  }
  if (!revision->is_number_unsigned()) {
    return wrong_params(fmt::format("{} is not a number of the history", name));
  }
  return revision->get<std::uint64_t>();
}

}  // namespace

Commands::Commands(
    Lane& lane, Reconcile& reconcile, const Daemon& daemon, Changes& changes, Roles roles)
    : lane_(lane),
      reconcile_(reconcile),
      daemon_(daemon),
      changes_(changes),
      roles_(std::move(roles)),
      ports_(daemon_.config, daemon_.port_driver),
      open_(daemon_.config.control.changes_max) {}

void Commands::handle(const Caller& caller, std::string message, const Server::Reply& reply) {
  if (message.size() <= kInlineBytesMax) {
    proceed(caller, parse_request(message), nullptr, reply);
    return;
  }
  // Nothing but a change is so large, and it waits for the lane as one.
  OpenChanges::Place place = open_.enter();
  if (!place) {
    reply(error_line(nullptr, no_place(open_)));
    return;
  }
  auto parsed = std::make_shared<tl::expected<Request, Refusal>>();
  lane_.run([parsed, message = std::move(message)] { *parsed = parse_request(message); },
            [this, caller, parsed, place = std::move(place), reply]() mutable {
              proceed(caller, std::move(*parsed), std::move(place), reply);
            });
}

void Commands::proceed(const Caller& caller,
                       tl::expected<Request, Refusal> parsed,
                       OpenChanges::Place place,
                       const Server::Reply& reply) {
  if (!parsed) {
    reply(error_line(parsed.error().id, parsed.error().error));
    return;
  }
  Done done = [reply, id = parsed->id, wants = parsed->wants_reply](Answer answer) {
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
  if (!permitted || is_audited(method)) {
    const auto intent = intent_of(caller, parsed->params);
    done = changes_.audited(caller.text(),
                            audit_text(method, parsed->params),
                            intent ? intent->comment : "",
                            std::move(done));
  }
  if (!permitted) {
    log::warn("control: {}", permitted.error().message);
    return done(tl::unexpected(permitted.error()));
  }
  if (is_change(method)) {
    place = place ? std::move(place) : open_.enter();
    if (!place) {
      return done(tl::unexpected(no_place(open_)));
    }
    // Free ahead of the answer: who has it may ask for the next change.
    done = [place = std::move(place), answered = std::move(done)](Answer answer) mutable {
      place.reset();
      answered(std::move(answer));
    };
  }
  dispatch(caller, *std::move(parsed), done);
}

void Commands::dispatch(const Caller& caller, Request request, const Done& done) {
  const std::string& method = request.method;
  json& params = request.params;
  if (method == "status" || method == "history") {
    if (const auto known = only(params, {}); !known) {
      return done(tl::unexpected(known.error()));
    }
    return done(method == "status" ? status_json(daemon_,
                                                 reconcile_,
                                                 {.open = open_,
                                                  .trial = changes_.trial(),
                                                  .last_undone = changes_.last_undone(),
                                                  .drain = changes_.drain()})
                                   : history_json(reconcile_));
  }
  if (method == "hello") {
    return done(hello(params));
  }
  if (method == "explain") {
    return with_view([this, params, done](const auto& view) { done(explain(params, *view)); });
  }
  if (method == "commit") {
    return commit_request(caller, params, done);
  }
  if (method == "edit") {
    return edit_request(caller, params, done);
  }
  if (method == "confirm") {
    return confirm_request(caller, params, done);
  }
  if (method == "plan") {
    return plan_request(params, done);
  }
  if (method == "show") {
    return show_request(params, done);
  }
  if (method == "diff") {
    return diff_request(params, done);
  }
  if (method == "rollback") {
    return rollback_request(caller, params, done);
  }
  if (is_flow_method(method)) {
    return with_view([this, caller, done, request = std::move(request)](const auto& view) {
      flows_request(caller, request, view, done);
    });
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
  if (const auto known =
          only(params, {"manifests", "comment", "confirm_s", "guards", "established", "drain_s"});
      !known) {
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
  const auto established = established_of(params);
  if (!established) {
    return done(tl::unexpected(established.error()));
  }
  intent->established = *established;
  auto manifests = manifests_of(params);
  if (!manifests) {
    return done(tl::unexpected(std::move(manifests).error()));
  }
  changes_.commit(*std::move(manifests), *std::move(intent), done);
}

void Commands::edit_request(const Caller& caller, json& params, const Done& done) {
  if (const auto known = only(params, {"steps", "comment"}); !known) {
    return done(tl::unexpected(known.error()));
  }
  auto intent = intent_of(caller, params);
  if (!intent) {
    return done(tl::unexpected(std::move(intent).error()));
  }
  auto steps = steps_of(params);
  if (!steps) {
    return done(tl::unexpected(std::move(steps).error()));
  }
  changes_.edit(*std::move(steps), *std::move(intent), done);
}

void Commands::plan_request(json& params, const Done& done) {
  if (const auto known = only(params, {"manifests"}); !known) {
    return done(tl::unexpected(known.error()));
  }
  auto manifests = manifests_of(params);
  if (!manifests) {
    return done(tl::unexpected(std::move(manifests).error()));
  }
  changes_.plan(*std::move(manifests), done);
}

void Commands::rollback_request(const Caller& caller, const json& params, const Done& done) {
  if (const auto known = only(params, {"revision", "comment", "established", "drain_s"}); !known) {
    return done(tl::unexpected(known.error()));
  }
  auto intent = intent_of(caller, params);
  if (!intent) {
    return done(tl::unexpected(std::move(intent).error()));
  }
  const auto revision = revision_of(params);
  if (!revision) {
    return done(tl::unexpected(revision.error()));
  }
  const auto established = established_of(params);
  if (!established) {
    return done(tl::unexpected(established.error()));
  }
  intent->established = *established;
  changes_.rollback(*revision, *std::move(intent), done);
}

void Commands::confirm_request(const Caller& caller, const json& params, const Done& done) {
  if (const auto known = only(params, {"revision"}); !known) {
    return done(tl::unexpected(known.error()));
  }
  const auto revision = revision_of(params);
  if (!revision) {
    return done(tl::unexpected(revision.error()));
  }
  changes_.confirm(*revision, caller.text(), done);
}

void Commands::show_request(const json& params, const Done& done) {
  if (const auto known = only(params, {"revision"}); !known) {
    return done(tl::unexpected(known.error()));
  }
  const auto revision = revision_of(params);
  if (!revision) {
    return done(tl::unexpected(revision.error()));
  }
  changes_.past().show(*revision, done);
}

void Commands::diff_request(const json& params, const Done& done) {
  if (const auto known = only(params, {"from", "to"}); !known) {
    return done(tl::unexpected(known.error()));
  }
  const auto from = revision_of(params, "from");
  const auto to = revision_of(params, "to");
  if (!from || !to) {
    return done(tl::unexpected((from ? to : from).error()));
  }
  changes_.past().diff(*from, *to, done);
}

void Commands::with_view(std::function<void(const std::shared_ptr<const View>&)> then) {
  if (const auto view = reconcile_.view()) {
    return then(view);
  }
  auto made = std::make_shared<std::shared_ptr<const View>>();
  lane_.run([this, made] { *made = reconcile_.make_view(); },
            [this, made, then = std::move(then)] {
              reconcile_.set_view(*made);
              then(*made);
            });
}

void Commands::flows_request(const Caller& caller,
                             const Request& request,
                             const std::shared_ptr<const View>& view,
                             const Done& done) {
  auto question = flow_question(request.method, request.params, view);
  if (!question) {
    return done(tl::unexpected(std::move(question).error()));
  }
  auto answers = std::make_shared<Result<std::vector<dataplane::FlowAnswer>>>();
  const auto ask = [this, answers, wanted = question->request] {
    *answers = reconcile_.flows(wanted).map(summed_up);
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

Answer Commands::explain(const json& params, const View& view) const {
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
  const auto located = view.locator().locate(
      {.src = *from, .dst = *to, .protocol = *protocol, .port = number->value_or(0)});
  if (!located) {
    return wrong_params(to_string(located.error()));
  }
  const observe::Explanation explanation = view.explainer().explain(located->flow);
  return json{{"allowed", explanation.allowed},
              {"revision", reconcile_.history().back().number},
              {"explanation", json::parse(observe::to_json(explanation), nullptr, false)},
              {"text", observe::to_text(explanation)},
              {"warnings", located->warnings}};
}

}  // namespace portcullis::control
