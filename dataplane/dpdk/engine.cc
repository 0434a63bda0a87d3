// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/engine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <rte_ethdev.h>
#include <rte_launch.h>

#include <fmt/format.h>

#include "base/limits.h"
#include "base/log.h"
#include "config/non_ip_words.h"
#include "dataplane/dpdk/buffer/demand.h"
#include "dataplane/dpdk/link/carrier.h"
#include "dataplane/dpdk/plug/plug.h"
#include "dataplane/dpdk/port.h"
#include "dataplane/dpdk/spread/crews.h"
#include "dataplane/dpdk/spread/exchange.h"
#include "dataplane/dpdk/table_slot.h"
#include "dataplane/dpdk/tsan.h"
#include "dataplane/dpdk/worker.h"
#include "dataplane/flows/ask.h"

namespace portcullis::dataplane {
namespace {

/// How long workers have for an answer about their flows; they need milliseconds.
constexpr std::chrono::seconds kFlowsPatience{5};

int run_worker(void* worker) {
  tsan_acquire(worker);
  static_cast<Worker*>(worker)->run();
  tsan_release(worker);
  return 0;
}

/// EAL's lcore 0 is the control thread.
unsigned lcore_of(std::size_t worker) {
  return static_cast<unsigned>(worker + 1);
}

std::uint16_t mtu_max(const config::Config& config) {
  std::uint16_t mtu = 0;
  for (const config::Port& port : config.ports) {
    mtu = std::max(mtu, port.mtu);
  }
  return mtu;
}

BufferUse buffer_use(const config::Config& config,
                     const std::vector<Crew>& crews,
                     std::size_t workers) {
  BufferUse use{.workers = workers, .routes = config.mode.kind == config::Mode::Kind::node};
  for (std::size_t i = 0; i < config.ports.size(); ++i) {
    use.ports += buffers_of_port(config.ports[i], crews[i].size());
  }
  return use;
}

/// What [conntrack] leaves to the mode. Elsewhere a packet that is dropped makes its hosts send
/// again or begin anew; a mirror's hosts go on, and the flow would be called wrong until its end.
config::Conntrack conntrack_options(const config::Config& config) {
  const bool mirror = config.mode.kind == config::Mode::Kind::mirror;
  config::Conntrack options = config.conntrack;
  options.tcp_loose = options.tcp_loose.value_or(mirror);
  options.tcp_window =
      options.tcp_window.value_or(mirror ? config::TcpWindow::off : config::TcpWindow::strict);
  return options;
}

PipelineOptions pipeline_options(const config::Config& config, std::size_t workers) {
  const bool router = config.mode.kind == config::Mode::Kind::node;
  PipelineOptions options{.conntrack = conntrack_options(config),
                          .tunnels = config.tunnels,
                          .non_ip = config.non_ip,
                          .ports = router ? limits::kPortsMax : config.ports.size(),
                          .fragments_held_max = held_fragments_max(config.eal.mbufs, workers)};
  for (const config::Port& port : config.ports) {
    // Only a pod's port is held to its addresses; on others `addresses` are our own.
    const bool pod = port.role == config::Port::Role::pod;
    options.sources.push_back(pod ? port.addresses : std::vector<IpAddress>{});
  }
  return options;
}

AnyForwarder make_forwarder(const config::Config& config,
                            const std::vector<std::unique_ptr<Port>>& ports) {
  if (config.mode.kind == config::Mode::Kind::wire) {
    return ForwardWire(config);
  }
  if (config.mode.kind == config::Mode::Kind::mirror) {
    return ForwardMirror();
  }
  std::vector<MacAddress> macs;
  for (const std::unique_ptr<Port>& port : ports) {
    macs.push_back(port->mac());
  }
  return ForwardNode(config, macs);
}

WorkerStatus status_of(const Worker& worker, std::uint32_t cpu) {
  const Counters& judged = worker.counters();
  const Losses& losses = worker.losses();
  const Losses& unjudged = worker.unjudged();
  const std::uint64_t refused = worker.transmit().refused();
  const std::uint64_t lost = losses.all.get() + refused;
  const std::uint64_t forwarded = judged.forwarded.get();
  WorkerStatus status{.cpu = cpu,
                      .packets = judged.packets.get() + unjudged.all.get(),
                      .forwarded = forwarded - std::min(lost, forwarded),
                      .dropped = judged.dropped.get() + lost + unjudged.all.get(),
                      .held = judged.held.get(),
                      .flows = judged.flows.get(),
                      .flows_created = judged.flows_created.get(),
                      .flows_expired = judged.flows_expired.get(),
                      .flows_evicted = judged.flows_evicted.get(),
                      .revalidated = judged.revalidated.get(),
                      .flows_revoked = judged.flows_revoked.get(),
                      .resets = judged.resets.get(),
                      .handed_to_judge = worker.handed_to_judge(),
                      .handed_to_send = worker.transmit().handed(),
                      .checksums_finished = worker.checksums_finished(),
                      .super_packets = worker.super_packets(),
                      .busy = worker.busy()};
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    status.drops.push_back(judged.drops[i].get() + losses.drops[i].get() + unjudged.drops[i].get());
  }
  status.drops[static_cast<std::size_t>(DropReason::tx_full)] += refused;
  return status;
}

PortStatus::Spread spread_of(const Port& port) {
  if (port.crew().size() == 1) {
    return PortStatus::Spread::none;
  }
  return port.queues().rx > 1 ? PortStatus::Spread::rss : PortStatus::Spread::software;
}

PortStatus status_of(const Port& port) {
  PortStatus status{.name = port.options().name,
                    .device = device_name(port.options()),
                    .addresses = port.options().addresses,
                    .spread = spread_of(port)};
  rte_eth_stats stats{};
  status.link_up = link_is_up(port);
  if (rte_eth_stats_get(port.id(), &stats) == 0) {
    status.rx_packets = stats.ipackets;
    status.rx_bytes = stats.ibytes;
    status.rx_missed = stats.imissed + stats.rx_nombuf + port.missed();
    status.tx_packets = stats.opackets;
    status.tx_bytes = stats.obytes;
  }
  return status;
}

/// Sums the counters of all workers; rule ids that counted nothing are left out. The workers may
/// still write them.
std::vector<RuleHits> sum_hits(const std::vector<RuleCounts>& of_workers) {
  const auto load = [](std::uint64_t& count) {
    return std::atomic_ref(count).load(std::memory_order_relaxed);
  };
  std::vector<RuleHits> hits;
  const std::size_t rule_ids = of_workers.empty() ? 0 : of_workers.front().hits.size();
  for (std::size_t rule = 0; rule < rule_ids; ++rule) {
    RuleHits sum{.rule = static_cast<std::uint32_t>(rule)};
    for (const RuleCounts& counts : of_workers) {
      sum.packets += load(counts.hits[rule]);
      sum.resets += load(counts.resets[rule]);
    }
    if (sum.packets > 0 || sum.resets > 0) {
      hits.push_back(sum);
    }
  }
  return hits;
}

/// Frames in which others hide are a way around all policies, which somebody may have chosen.
void warn_of_carriers(const config::NonIp& non_ip) {
  for (const config::NumberRange& types : non_ip.allow) {
    if (config::carries_packets(types)) {
      log::warn("non_ip.allow: {} carries packets of others, which no policy judges",
                config::non_ip_name(types));
    }
  }
}

}  // namespace

struct Engine::State {
  // In this order: workers go first when all ends, then the roads between them, the slot, the
  // ports, and their buffers.
  std::unique_ptr<BufferPool> pool;
  std::vector<std::unique_ptr<Port>> ports;  // Null where one was removed.
  std::optional<LinkCarrier> links;
  std::optional<TableSlot> slot;
  std::unique_ptr<Exchange> exchange;
  std::vector<std::uint32_t> worker_cpus;
  std::vector<std::unique_ptr<Worker>> workers;
  std::size_t launched = 0;

  Result<void> open_ports(const config::Config& config);
  Result<void> start_ports();
  void make_workers(const config::Config& config);
  Result<void> launch();
  Plugboard board() { return {ports, *exchange, *pool, workers}; }
  void halt();
};

Result<void> Engine::State::open_ports(const config::Config& config) {
  const std::vector<Crew> crews = crews_of(config, worker_cpus.size());
  PORTCULLIS_TRY_VOID(
      check_buffers(config.eal.mbufs, buffer_use(config, crews, worker_cpus.size())));
  PORTCULLIS_TRY(pool, BufferPool::make(config.eal, frame_bytes_max(mtu_max(config))));
  for (std::size_t i = 0; i < config.ports.size(); ++i) {
    PORTCULLIS_TRY(auto port, Port::open(config.ports[i], crews[i], *pool));
    ports.push_back(std::move(port));
  }
  return {};
}

/// Only then are their queues settled. Nobody polls them yet.
Result<void> Engine::State::start_ports() {
  for (const std::unique_ptr<Port>& port : ports) {
    PORTCULLIS_TRY_VOID(port->start());
  }
  PORTCULLIS_TRY(exchange, Exchange::make(ports, worker_cpus.size()));
  return {};
}

void Engine::State::make_workers(const config::Config& config) {
  for (std::size_t i = 0; i < worker_cpus.size(); ++i) {
    const WorkerSetup setup{.index = i,
                            .exchange = exchange.get(),
                            .pipeline = pipeline_options(config, worker_cpus.size()),
                            .sleeps = config.eal.idle == config::Eal::Idle::sleep,
                            .rejects = config.policy.reject == config::Policy::Reject::reset};
    workers.push_back(
        std::make_unique<Worker>(setup, *slot, ports, *pool, make_forwarder(config, ports)));
  }
}

Result<void> Engine::State::launch() {
  for (std::size_t i = 0; i < workers.size(); ++i) {
    tsan_release(workers[i].get());
    const int error = rte_eal_remote_launch(run_worker, workers[i].get(), lcore_of(i));
    if (error != 0) {
      return fail(fmt::format("worker {} does not start: {}", i, rte_strerror(-error)));
    }
    ++launched;
  }
  return {};
}

void Engine::State::halt() {
  if (exchange != nullptr) {
    exchange->closing().receiving = launched;
    exchange->closing().judging = launched;
  }
  for (std::size_t i = 0; i < launched; ++i) {
    workers[i]->stop();
  }
  for (std::size_t i = 0; i < launched; ++i) {
    rte_eal_wait_lcore(lcore_of(i));
    tsan_acquire(workers[i].get());
  }
  launched = 0;
  links.reset();
  for (const std::unique_ptr<Port>& port : ports) {
    if (port != nullptr) {
      port->stop();
    }
  }
}

std::uint64_t monotonic_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count());
}

Result<std::unique_ptr<Engine>> Engine::start(const config::Config& config,
                                              const std::vector<std::uint32_t>& worker_cpus,
                                              std::unique_ptr<const Generation> first) {
  std::unique_ptr<Engine> engine(new Engine(std::make_unique<State>()));
  State& state = *engine->state_;
  state.worker_cpus = worker_cpus;
  warn_of_carriers(config.non_ip);
  PORTCULLIS_TRY_VOID(state.open_ports(config));
  state.slot.emplace(worker_cpus.size());
  state.slot->publish(std::move(first));
  PORTCULLIS_TRY_VOID(state.start_ports());
  state.make_workers(config);
  PORTCULLIS_TRY_VOID(state.launch());
  state.links.emplace(config, state.ports, monotonic_ns());
  return engine;
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}

Engine::~Engine() {
  state_->halt();
}

Result<void> Engine::add_port(const config::Port& options) {
  return plug(state_->board(), options);
}

Result<void> Engine::remove_port(const std::string& name) {
  return unplug(state_->board(), name);
}

std::vector<RuleHits> Engine::publish(std::unique_ptr<const Generation> next) {
  std::vector<RuleCounts> counts;
  std::vector<RuleCounters> retired = state_->slot->publish(std::move(next));
  for (RuleCounters& of_worker : retired) {
    counts.push_back(of_worker.counts());
  }
  return sum_hits(counts);
}

void Engine::check_links(std::uint64_t now_ns) {
  state_->links->check(now_ns);
}

DataplaneStatus Engine::status() const {
  const Generation& running = state_->slot->running();
  DataplaneStatus status{.epoch = running.epoch, .kept_before = running.kept_before};
  for (std::size_t i = 0; i < state_->ports.size(); ++i) {
    if (state_->ports[i] != nullptr) {
      status.ports.push_back(status_of(*state_->ports[i]));
      state_->links->tell(i, status.ports.back());
    }
  }
  for (std::size_t i = 0; i < state_->workers.size(); ++i) {
    status.workers.push_back(status_of(*state_->workers[i], state_->worker_cpus[i]));
  }
  return status;
}

std::vector<RuleHits> Engine::rule_hits() const {
  std::vector<RuleCounts> counting;
  for (std::size_t i = 0; i < state_->workers.size(); ++i) {
    counting.push_back(state_->slot->counts(i));
  }
  return sum_hits(counting);
}

Result<std::vector<FlowAnswer>> Engine::flows(const FlowRequest& request) const {
  std::vector<FlowMailbox*> mailboxes;
  for (const std::unique_ptr<Worker>& worker : state_->workers) {
    mailboxes.push_back(&worker->mailbox());
  }
  PORTCULLIS_TRY(auto answers, ask_flows(mailboxes, request, kFlowsPatience));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    answers[i].cpu = state_->worker_cpus[i];
  }
  return answers;
}

}  // namespace portcullis::dataplane
