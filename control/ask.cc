// SPDX-License-Identifier: MIT
#include "control/ask.h"

#include <functional>
#include <utility>

#include <fmt/format.h>

#include "base/time_text.h"
#include "control/client.h"
#include "control/client/await_revision.h"
#include "control/client/manifests.h"
#include "control/render.h"
#include "control/words/changes.h"
#include "control/words/flows.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

constexpr int kExitDenied = 1;
constexpr int kExitNotYet = 1;
constexpr int kExitTrouble = 2;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

/// Calls one method and shows its result.
Told ask(const Target& target,
         const char* method,
         json params,
         const std::function<std::string(const json&)>& render) {
  auto client = Client::connect(target.socket, target.timeout);
  if (!client) {
    return {kExitTrouble, "", fmt::format("portcullis: {}\n", to_string(client.error()))};
  }
  const auto answer = client->call(method, std::move(params));
  if (!answer) {
    return {kExitTrouble, "", fmt::format("portcullis: {}\n", to_string(answer.error()))};
  }
  if (!*answer) {
    const RpcError& error = answer->error();
    if (!target.json) {
      return {kExitTrouble, "", render_error(error)};
    }
    const json body = {{"code", static_cast<int>(error.code)},
                       {"message", error.message},
                       {"data", error.details}};
    return {kExitTrouble, dump({{"error", body}}), ""};
  }
  try {
    return {0, target.json ? dump(**answer) : render(**answer), ""};
  } catch (const json::exception& error) {
    return {kExitTrouble, "", fmt::format("portcullis: strange answer: {}\n", error.what())};
  }
}

json params_of(const FlowWords& words) {
  json params = json::object();
  for (const auto& [name, word] : {std::pair("from", &words.from),
                                   std::pair("to", &words.to),
                                   std::pair("address", &words.address),
                                   std::pair("protocol", &words.protocol),
                                   std::pair("state", &words.state)}) {
    if (!word->empty()) {
      params[name] = *word;
    }
  }
  if (words.port) {
    params["port"] = *words.port;
  }
  return params;
}

void add_established(json& params, const EstablishedWords& words) {
  if (!words.word.empty() || words.drain_s != 0) {
    params["established"] = words.word.empty() ? "drain" : words.word;
  }
  if (words.drain_s != 0) {
    params["drain_s"] = words.drain_s;
  }
}

/// Warnings of a result as lines for standard error.
std::string warning_lines(const json& result) {
  std::string lines;
  for (const json& warning : result.value("warnings", json::array())) {
    lines += fmt::format("warning: {}\n",
                         warning.is_string() ? warning.get<std::string>() : warning.dump());
  }
  return lines;
}

/// Asks about flows; tables for people have the warnings beside them.
Told ask_flows(const Target& target,
               const char* method,
               json params,
               const std::function<std::string(const json&)>& render) {
  std::string warnings;
  Told told = ask(target, method, std::move(params), [&](const json& result) {
    warnings = warning_lines(result);
    return render(result);
  });
  told.trouble += warnings;
  return told;
}

}  // namespace

Told ask_commit(const Target& target,
                std::span<const policy::Manifest> manifests,
                const CommitWords& words) {
  json params = {{"manifests", manifests_json(manifests)}, {"comment", words.comment}};
  if (words.confirm_s != 0) {
    params["confirm_s"] = words.confirm_s;
  }
  if (!words.guards.empty()) {
    params["guards"] = words.guards;
  }
  add_established(params, words.established);
  return ask(target, "commit", std::move(params), render_commit);
}

Told ask_confirm(const Target& target, std::optional<std::uint64_t> revision) {
  return ask(
      target, "confirm", {{"revision", revision ? json(*revision) : json()}}, render_confirm);
}

Told ask_plan(const Target& target, std::span<const policy::Manifest> manifests) {
  bool changes = false;
  Target asked = target;
  asked.json = false;
  Told told =
      ask(asked, "plan", {{"manifests", manifests_json(manifests)}}, [&](const json& result) {
        changes = result.value("changed", false);
        return target.json ? dump(result) : render_plan(result);
      });
  told.exit_code = told.exit_code == 0 && changes ? 1 : told.exit_code;
  return told;
}

Told ask_status(const Target& target) {
  return ask(target, "status", json::object(), render_status);
}

Told ask_status_of(const Target& target, std::uint64_t revision) {
  const auto running = await_revision(target.socket, revision, target.timeout);
  if (!running) {
    return {kExitTrouble, "", fmt::format("portcullis: {}\n", to_string(running.error()))};
  }
  if (*running < revision) {
    const auto waited = std::chrono::duration_cast<std::chrono::seconds>(target.timeout);
    return {kExitNotYet,
            "",
            fmt::format("portcullis: revision {} was not enforced within {}: revision {} runs\n",
                        revision,
                        span_text(waited),
                        *running)};
  }
  return ask_status(target);
}

Told ask_history(const Target& target) {
  return ask(target, "history", json::object(), render_history);
}

Told ask_show(const Target& target, std::optional<std::uint64_t> revision) {
  return ask(target, "show", {{"revision", revision ? json(*revision) : json()}}, render_show);
}

Told ask_diff(const Target& target,
              std::optional<std::uint64_t> from,
              std::optional<std::uint64_t> to) {
  bool differs = false;
  Target asked = target;
  asked.json = false;
  const json params = {{"from", from ? json(*from) : json()}, {"to", to ? json(*to) : json()}};
  Told told = ask(asked, "diff", params, [&](const json& result) {
    differs = !result.value("changes", json::array()).empty();
    return target.json ? dump(result) : render_diff(result);
  });
  told.exit_code = told.exit_code == 0 && differs ? 1 : told.exit_code;
  return told;
}

Told ask_rollback(const Target& target,
                  std::optional<std::uint64_t> revision,
                  const std::string& comment,
                  const EstablishedWords& established) {
  json params = {{"comment", comment}};
  if (revision) {
    params["revision"] = *revision;
  }
  add_established(params, established);
  return ask(target, "rollback", std::move(params), render_commit);
}

Told ask_edit(const Target& target, const EditWords& words) {
  json step = {{"do", words.step}};
  if (words.names.empty()) {
    step["manifests"] = manifests_json(words.manifests);
  } else {
    step["names"] = words.names;
  }
  json params = {{"steps", json::array({std::move(step)})}, {"comment", words.comment}};
  return ask(target, "edit", std::move(params), [](const json& result) {
    if (!result.value("changed", false)) {
      return fmt::format("nothing changed: revision {} says so already\n",
                         result.value("revision", 0));
    }
    const auto edits = result.value("edits", 0);
    return fmt::format("revision {}: {} object{}, in force after {:.1f} ms ({})\n",
                       result.value("revision", 0),
                       edits,
                       edits == 1 ? "" : "s",
                       result.value("took_us", 0.0) / 1000,
                       result.value("way", ""));
  });
}

Told ask_port_add(const Target& target, const PortWords& words) {
  json params = {{"name", words.name}, {"vdev", words.vdev}, {"addresses", words.addresses}};
  if (words.mtu) {
    params["mtu"] = *words.mtu;
  }
  return ask(target, "port.add", std::move(params), render_port_added);
}

Told ask_port_remove(const Target& target, const std::string& name) {
  return ask(target, "port.remove", {{"name", name}}, render_port_removed);
}

Told ask_port_list(const Target& target) {
  Target asked = target;
  asked.json = false;
  return ask(asked, "status", json::object(), [&target](const json& status) {
    return target.json ? dump({{"ports", status.value("ports", json::array())}})
                       : render_ports(status);
  });
}

Told ask_explain(const Target& target, const Question& question) {
  json params = {{"from", question.from}, {"to", question.to}, {"protocol", question.protocol}};
  params["port"] = question.port.empty() ? "-" : question.port;
  bool allowed = false;
  std::string warnings;
  // The same object or text as `explain --manifests` prints, so that scripts need not care.
  Target asked = target;
  asked.json = false;
  Told told = ask(asked, "explain", std::move(params), [&](const json& result) {
    allowed = result.value("allowed", false);
    warnings = warning_lines(result);
    return target.json ? dump(result.value("explanation", json())) : result.value("text", "");
  });
  if (told.exit_code == 0) {
    told.exit_code = allowed ? 0 : kExitDenied;
    told.trouble = std::move(warnings);
  }
  return told;
}

Told ask_flow_list(const Target& target, const FlowWords& words, std::uint32_t limit) {
  json params = params_of(words);
  params["limit"] = limit;
  return ask_flows(target, "conntrack.list", std::move(params), render_flows);
}

Told ask_flow_top(const Target& target,
                  const FlowWords& words,
                  const std::string& by,
                  std::uint32_t limit) {
  json params = params_of(words);
  params["by"] = by;
  params["limit"] = limit;
  return ask_flows(target, "conntrack.top", std::move(params), render_flow_top);
}

Told ask_flow_stats(const Target& target) {
  return ask(target, "conntrack.stats", json::object(), render_flow_stats);
}

Told ask_flow_flush(const Target& target, const FlowWords& words, bool all) {
  json params = params_of(words);
  if (all) {
    params["all"] = true;
  }
  return ask_flows(target, "conntrack.flush", std::move(params), render_flush);
}

}  // namespace portcullis::control
