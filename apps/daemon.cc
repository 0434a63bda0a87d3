// SPDX-License-Identifier: MIT
// portcullisd: reads its configuration, compiles the first policies, starts the dataplane with
// them, and serves the control socket until a signal ends it. Exit status 2: it could not start.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/isa_option.h"
#include "apps/service.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"
#include "config/load.h"
#include "control/change/changes.h"
#include "control/commands.h"
#include "control/loop.h"
#include "control/port/ports.h"
#include "control/quota/namespace_quotas.h"
#include "control/reconcile.h"
#include "control/server.h"
#include "control/state/archive.h"
#include "control/state/resume.h"
#include "control/static_rules.h"
#include "dataplane/dataplane.h"

namespace {

using namespace portcullis;

constexpr int kExitTrouble = 2;
constexpr std::chrono::milliseconds kLinkPeriod{500};

/// The dataplane as reconcile sees it; the first table starts it.
class DataplanePublisher : public control::Publisher, public control::PortDriver {
 public:
  explicit DataplanePublisher(const config::Config& config) : config_(config) {}

  Result<control::Publication> publish(dataplane::Enforced next, dataplane::Kept kept) override {
    if (!dataplane_) {
      PORTCULLIS_TRY(dataplane_, dataplane::Dataplane::start(config_, std::move(next)));
      return control::Publication{.epoch = dataplane_->status().epoch};
    }
    const std::uint64_t epoch = dataplane_->publish(std::move(next), kept);
    return control::Publication{.epoch = epoch, .retired = dataplane_->retired_hits()};
  }
  Result<std::vector<dataplane::RuleHits>> end_kept() override {
    if (dataplane_) {
      dataplane_->end_kept();
    }
    return dataplane_ ? dataplane_->retired_hits() : std::vector<dataplane::RuleHits>{};
  }
  void check_links() { dataplane_->check_links(); }
  [[nodiscard]] std::vector<dataplane::RuleHits> rule_hits() const override {
    return dataplane_ ? dataplane_->rule_hits() : std::vector<dataplane::RuleHits>{};
  }
  [[nodiscard]] dataplane::DataplaneStatus status() const override {
    return dataplane_ ? dataplane_->status() : dataplane::DataplaneStatus{};
  }
  [[nodiscard]] Result<std::vector<dataplane::FlowAnswer>> flows(
      const dataplane::FlowRequest& request) const override {
    return dataplane_ ? dataplane_->flows(request) : std::vector<dataplane::FlowAnswer>{};
  }

  Result<void> add_port(const config::Port& options) override {
    return dataplane_ ? dataplane_->add_port(options) : fail("no packet passes yet; try again");
  }
  Result<void> remove_port(const std::string& name) override {
    return dataplane_ ? dataplane_->remove_port(name) : fail("no packet passes yet; try again");
  }

 private:
  const config::Config& config_;
  std::unique_ptr<dataplane::Dataplane> dataplane_;
};

/// The addresses by which a router knows its own node among those of the manifests.
std::vector<IpAddress> node_addresses(const config::Config& config) {
  std::vector<IpAddress> addresses;
  for (const config::Port& port : config.ports) {
    if (port.role == config::Port::Role::uplink) {
      addresses.insert(addresses.end(), port.addresses.begin(), port.addresses.end());
    }
  }
  return addresses;
}

/// Compiles end early when `stop` is requested.
control::ReconcileOptions reconcile_options(const config::Config& config,
                                            std::stop_token stop = {}) {
  return {.lowering = control::lowering_of(config),
          .static_rules = control::static_rules_of(config),
          .compiling = {.table_bytes_max = std::size_t{config.limits.table_mb_max} << 20U,
                        .stop = std::move(stop)},
          .quotas = control::NamespaceQuotas::of(config.conntrack),
          .node_addresses = node_addresses(config),
          .history_max = config.limits.history_max};
}

/// Signals that the loop takes from a descriptor. Blocked before any thread starts, so that every
/// thread inherits it.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&signals, signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // DPDK writes to the peers of memif and virtio-user without a thought that they may be gone.
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

/// Commits the manifests of the configuration again.
void reload(const config::Config& config, control::Changes& changes) {
  apps::tell_service_manager_reloading();
  auto manifests = policy::read_manifests(config.policy.manifests);
  if (!manifests) {
    log::error("reload: {}", to_string(manifests.error()));
    apps::tell_service_manager("READY=1\nSTATUS=Reload failed: a manifest cannot be read");
    return;
  }
  const auto done = [](const control::Answer& answer) {
    apps::tell_service_manager(answer ? "READY=1\nSTATUS=Policies are reloaded"
                                      : "READY=1\nSTATUS=Reload failed: see the log");
  };
  control::Intent intent{.who = "SIGHUP", .comment = "reload"};
  auto audited = changes.audited(intent.who, "reload", intent.comment, done);
  changes.commit(*std::move(manifests), std::move(intent), std::move(audited));
}

/// Makes the socket's directory if it is missing.
Result<void> make_directory_of(const std::string& socket) {
  const std::filesystem::path folder = std::filesystem::path(socket).parent_path();
  std::error_code error;
  if (!folder.empty() && !std::filesystem::exists(folder, error)) {
    std::filesystem::create_directories(folder, error);
    if (error) {
      return fail("cannot make the socket's directory: " + error.message(), folder.string());
    }
  }
  return {};
}

/// Sends the lane's thread, and so those that a compile hires, to the processors that are for them.
/// Otherwise they stay where the control thread is: never on a worker's processor.
void place_compiles(const config::Config& config, control::Lane& lane) {
  if (config.eal.compile_cpus.empty()) {
    return;
  }
  const auto place = [cpus = config.eal.compile_cpus] {
    if (const auto placed = stay_on(cpus); !placed) {
      log::warn("eal.compile_cpus: {}", placed.error().message);
    }
  };
  lane.run(place, [] {});
}

/// Watches the signals: SIGHUP reloads, the others end the loop.
Result<UniqueFd> watch_signals(control::Loop& loop,
                               const sigset_t& signals,
                               const control::Task& on_reload) {
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) {
    return fail("cannot watch signals");
  }
  const int number = fd.get();
  PORTCULLIS_TRY_VOID(loop.watch(number, EPOLLIN, [number, &loop, on_reload](std::uint32_t) {
    signalfd_siginfo signal{};
    while (::read(number, &signal, sizeof signal) == sizeof signal) {
      if (signal.ssi_signo == SIGHUP) {
        on_reload();
      } else {
        log::info("stopping: signal {}", signal.ssi_signo);
        loop.stop();
      }
    }
  }));
  return fd;
}

Result<void> serve(const config::Config& config, const sigset_t& signals) {
  PORTCULLIS_TRY_VOID(make_directory_of(config.control.socket));
  PORTCULLIS_TRY(control::Roles roles, control::Roles::of(config.control));
  control::Audit audit;
  if (!config.control.audit_log.empty()) {
    PORTCULLIS_TRY(audit, control::Audit::open(config.control.audit_log));
  }
  PORTCULLIS_TRY(const auto loop, control::Loop::make());
  DataplanePublisher publisher(config);
  std::stop_source stopping;
  control::Reconcile reconcile(reconcile_options(config, stopping.get_token()), publisher);
  std::optional<control::Archive> archive;
  if (!config.control.state.empty()) {
    PORTCULLIS_TRY(archive,
                   control::Archive::open(config.control.state, config.limits.history_max));
  }
  control::Archive* const kept = archive ? &*archive : nullptr;
  const control::Daemon daemon{.config = config, .port_driver = &publisher};
  // Ahead of the lane, whose last job may still use them.
  std::unique_ptr<control::Changes> changes;
  std::unique_ptr<control::Commands> commands;
  // The socket first: a second daemon must not get as far as the ports. It is answered only once
  // the loop runs.
  PORTCULLIS_TRY(const auto server,
                 control::Server::open(
                     *loop,
                     {.socket = config.control.socket,
                      .clients_max = config.control.clients_max,
                      .message_bytes_max = std::size_t{config.control.message_mb_max} << 20U,
                      .client_timeout = std::chrono::seconds(config.control.client_timeout_s)},
                     [&commands](const control::Caller& caller,
                                 std::string message,
                                 const control::Server::Reply& reply) {
                       commands->handle(caller, std::move(message), reply);
                     }));
  PORTCULLIS_TRY(const control::Applied applied,
                 control::enforce_first(reconcile, kept, config.policy.manifests));
  control::Lane lane(*loop);
  place_compiles(config, lane);
  changes = std::make_unique<control::Changes>(lane, reconcile, daemon, kept, std::move(audit));
  commands =
      std::make_unique<control::Commands>(lane, reconcile, daemon, *changes, std::move(roles));
  PORTCULLIS_TRY(const UniqueFd watched,
                 watch_signals(*loop, signals, [&] { reload(config, *changes); }));
  PORTCULLIS_TRY_VOID(loop->every(std::chrono::seconds(1),
                                  [&changes] { changes->tick(control::Trial::Clock::now()); }));
  PORTCULLIS_TRY_VOID(loop->every(kLinkPeriod, [&publisher] { publisher.check_links(); }));
  if (const auto period = apps::watchdog_period(); period.count() > 0) {
    PORTCULLIS_TRY_VOID(loop->every(period, [] { apps::tell_service_manager("WATCHDOG=1"); }));
  }
  log::info("ready: {} policies, {} pods, {} rules, socket {}",
            applied.revision.counts.policies,
            applied.revision.counts.pods,
            applied.revision.counts.rules,
            config.control.socket);
  const bool mirror = config.mode.kind == config::Mode::Kind::mirror;
  if (mirror) {
    log::info("mode mirror: packets are judged and counted; none is forwarded or answered");
  }
  apps::tell_service_manager(mirror ? "READY=1\nSTATUS=Judging copies, forwarding nothing"
                                    : "READY=1\nSTATUS=Enforcing");
  loop->run();
  stopping.request_stop();  // The lane waits for the compile under way.
  apps::tell_service_manager("STOPPING=1");
  return {};
}

/// Says whether the daemon could start, as far as that can be said without its ports.
Result<void> check(const config::Config& config) {
  DataplanePublisher publisher(config);
  const control::Reconcile reconcile(reconcile_options(config), publisher);
  PORTCULLIS_TRY(const control::Candidate candidate,
                 control::compile_files(reconcile, config.policy.manifests));
  fmt::print("ok: {} ports, {} policies, {} pods, {} rules, table of {} bytes\n",
             config.ports.size(),
             candidate.counts.policies,
             candidate.counts.pods,
             candidate.counts.rules,
             candidate.table->sizes().total);
  return {};
}

int run(int argc, char** argv) {
  CLI::App program{"Enforces Kubernetes network policies on packets.", "portcullisd"};
  std::string path;
  bool only_check = false;
  program.add_option("--config", path, "The configuration; config/example.toml explains every key")
      ->required()
      ->type_name("FILE");
  program.add_flag("--check", only_check, "Check the configuration and its manifests, and exit");
  apps::add_isa_option(program);
  program.set_version_flag("--version", "portcullisd " PORTCULLIS_VERSION);
  program.footer(
      "Runs in the foreground. SIGHUP reads the manifests of the configuration again; SIGTERM and "
      "SIGINT end it.");
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : kExitTrouble;
  }
  const sigset_t signals = block_signals();
  Result<void> outcome;
  const auto config = config::load(path);
  if (!config) {
    outcome = Failure(config.error());
  } else if (outcome = log::start(config->observe.log_level); outcome) {
    outcome = only_check ? check(*config) : serve(*config, signals);
  }
  if (!outcome) {
    fmt::print(stderr, "portcullisd: {}\n", to_string(outcome.error()));
    return kExitTrouble;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "portcullisd: %s\n", error.what());
    return kExitTrouble;
  }
}
