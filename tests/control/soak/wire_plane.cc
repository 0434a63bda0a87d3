// SPDX-License-Identifier: MIT
#include "tests/control/soak/wire_plane.h"

#include <fstream>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/cpu.h"
#include "control/state/resume.h"
#include "dataplane/generation.h"

namespace portcullis::control {
namespace {

/// Of the history; trials go by, and rollbacks find something.
constexpr std::size_t kRevisions = 16;

config::Config wire(const test::RingPort& left, const test::RingPort& right) {
  config::Config config{.eal = test::test_eal_options()};
  config.eal.mbufs = 2048;
  config.ports = {{.name = "left", .vdev = left.device()},
                  {.name = "right", .vdev = right.device()}};
  config.mode.pairs = {{"left", "right"}};
  return config;
}

ReconcileOptions options_of_wire() {
  return {.lowering = {.default_mode = classifier::DefaultMode::kubernetes},
          .history_max = kRevisions};
}

/// Ports of memory rings need it. It binds who starts it to one processor; threads and processes
/// that are made from now on have all.
std::string with_eal(const char* port) {
  PORTCULLIS_CHECK(stay_on(test::test_eal().worker_cpus()).has_value());
  return port;
}

}  // namespace

Result<Publication> WirePublisher::publish(dataplane::Enforced enforced, dataplane::Kept kept) {
  PORTCULLIS_CHECK(kept != dataplane::Kept::all);
  auto next = std::make_unique<dataplane::Generation>();
  next->epoch = ++epoch_;
  next->table = std::move(enforced.table);
  next->rule_ids = enforced.rule_ids;
  next->namespaces = std::move(enforced.namespaces);
  Publication publication{.epoch = epoch_};
  in_force_.begin();
  if (!engine_) {
    const std::vector<std::uint32_t>& cpus = test::test_eal().worker_cpus();
    PORTCULLIS_TRY(engine_, dataplane::Engine::start(config_, cpus, std::move(next)));
  } else {
    publication.retired = engine_->publish(std::move(next));
  }
  in_force_.end();
  if (after_each_) {
    after_each_();
  }
  return publication;
}

Result<std::vector<dataplane::RuleHits>> WirePublisher::end_kept() {
  return fail("no flows are kept");
}

std::vector<dataplane::RuleHits> WirePublisher::rule_hits() const {
  return engine_->rule_hits();
}

dataplane::DataplaneStatus WirePublisher::status() const {
  return engine_->status();
}

Result<std::vector<dataplane::FlowAnswer>> WirePublisher::flows(
    const dataplane::FlowRequest& request) const {
  return engine_->flows(request);
}

WirePlane::WirePlane(ServerOptions options, const std::string& manifest)
    : left_(with_eal("left")),
      right_("right"),
      config_(wire(left_, right_)),
      publisher_(config_, in_force_),
      reconcile_(options_of_wire(), publisher_),
      archive_(Archive::open(folder_.file("state"), kRevisions).value()) {
  const std::string file = folder_.file("first.json");
  std::ofstream(file) << manifest;
  const auto first = enforce_first(reconcile_, &archive_, std::span(&file, 1));
  PORTCULLIS_CHECK(first.has_value());
  in_force_.name({.snapshot = reconcile_.history().back().world->snapshot()});
  start(std::move(options));
}

void WirePlane::start(ServerOptions options) {
  daemon_ = std::make_unique<Daemon>(Daemon{.config = config_});
  server_ = std::make_unique<LiveServer>(
      std::move(options), [this](LiveServer&, std::string message, const Server::Reply& reply) {
        const Caller root{.uid = 0, .pid = 1};
        commands_->handle(root, std::move(message), [this, reply](const std::string& line) {
          tally_.answered += line.empty() ? 0 : 1;
          tally_.refused += line.find(R"("error":{)") == std::string::npos ? 0 : 1;
          reply(line);
        });
      });
  // Nobody knows of the socket yet.
  server_->run([this] {
    Lane& lane = server_->lane();
    changes_ = std::make_unique<Changes>(lane, reconcile_, *daemon_, &archive_, Audit());
    commands_ = std::make_unique<Commands>(lane, reconcile_, *daemon_, *changes_);
    // On the lane and ahead of the next change: the content of live edits is the lane's, and it
    // stands in the history only when the publication has returned.
    publisher_.after_each(
        [this, &lane] { lane.run_next([this] { name_content(); }, [this] { count_change(); }); });
  });
}

WirePlane::~WirePlane() = default;

void WirePlane::name_content() {
  const Revision& revision = reconcile_.history().back();
  const auto snapshot = revision.world->snapshot();
  misnamed_ = is_misnamed(revision, *snapshot);
  in_force_.name({.snapshot = snapshot,
                  // A compile takes the digest of its table, single stores have none.
                  .is_edit = revision.table_digest.empty()});
}

bool WirePlane::is_misnamed(const Revision& revision, const policy::Snapshot& snapshot) {
  digests_[revision.number] = revision.digest;
  digests_.erase(digests_.begin(), digests_.lower_bound(reconcile_.history().front().number));
  const auto& back = revision.intent.rollback_to;
  const auto meant = back ? digests_.find(*back) : digests_.end();
  return policy::digest(snapshot) != revision.digest ||
         (meant != digests_.end() && meant->second != revision.digest);
}

void WirePlane::count_change() {
  tally_.misnamed += misnamed_ ? 1 : 0;
  const Intent& intent = reconcile_.history().back().intent;
  ++tally_.changes[intent.who == "portcullisd" ? "undone" : intent.comment];
}

void WirePlane::tick() {
  server_->run([this] { changes_->tick(Trial::Clock::now()); });
}

void WirePlane::rest() {
  std::promise<void> rested;
  server_->run([&] { server_->lane().run([] {}, [&] { rested.set_value(); }); });
  rested.get_future().wait();
}

WirePlane::Tally WirePlane::tally() {
  rest();
  Tally tally;
  server_->run([&] { tally = tally_; });
  return tally;
}

bool WirePlane::is_kept() {
  bool is_kept = false;
  server_->run([&] {
    const Revision& running = reconcile_.history().back();
    const auto content = archive_.content(running.number);
    const auto again = content ? reconcile_.prepare(content->manifests, content->steps)
                               : Prepared(tl::unexpected(Rejection{}));
    is_kept = again && again->digest == running.digest;
  });
  return is_kept;
}

dataplane::DataplaneStatus WirePlane::status() {
  dataplane::DataplaneStatus status;
  server_->run([&] { status = publisher_.status(); });
  return status;
}

}  // namespace portcullis::control
