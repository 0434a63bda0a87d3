// SPDX-License-Identifier: MIT
#include "dataplane/dataplane.h"

#include <utility>

#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/engine.h"
#include "dataplane/generation.h"

namespace portcullis::dataplane {

struct Dataplane::State {
  // In this order: the engine ends before the environment it runs in.
  std::unique_ptr<Eal> eal;
  std::unique_ptr<Engine> engine;
  Generation running;
  std::vector<RuleHits> retired;

  std::unique_ptr<const Generation> next(Enforced enforced, Kept kept) {
    ++running.epoch;
    running.table = std::move(enforced.table);
    running.rule_ids = enforced.rule_ids;
    running.namespaces = std::move(enforced.namespaces);
    if (kept != Kept::same) {
      running.kept_before = kept == Kept::all ? running.epoch : 0;
    }
    return std::make_unique<const Generation>(running);
  }
};

Result<std::unique_ptr<Dataplane>> Dataplane::start(const config::Config& config, Enforced first) {
  auto state = std::make_unique<State>();
  PORTCULLIS_TRY(state->eal, Eal::start(config.eal));
  PORTCULLIS_TRY(
      state->engine,
      Engine::start(config, state->eal->worker_cpus(), state->next(std::move(first), Kept::none)));
  return std::unique_ptr<Dataplane>(new Dataplane(std::move(state)));
}

Dataplane::Dataplane(std::unique_ptr<State> state) : state_(std::move(state)) {}

Dataplane::~Dataplane() = default;

Result<void> Dataplane::add_port(const config::Port& options) {
  return state_->engine->add_port(options);
}

Result<void> Dataplane::remove_port(const std::string& name) {
  return state_->engine->remove_port(name);
}

std::uint64_t Dataplane::publish(Enforced next, Kept kept) {
  state_->retired = state_->engine->publish(state_->next(std::move(next), kept));
  return state_->running.epoch;
}

void Dataplane::end_kept() {
  state_->running.kept_before = 0;
  state_->retired = state_->engine->publish(std::make_unique<const Generation>(state_->running));
}

void Dataplane::check_links() {
  state_->engine->check_links(monotonic_ns());
}

DataplaneStatus Dataplane::status() const {
  return state_->engine->status();
}

std::vector<RuleHits> Dataplane::rule_hits() const {
  return state_->engine->rule_hits();
}

Result<std::vector<FlowAnswer>> Dataplane::flows(const FlowRequest& request) const {
  return state_->engine->flows(request);
}

const std::vector<RuleHits>& Dataplane::retired_hits() const {
  return state_->retired;
}

}  // namespace portcullis::dataplane
