// SPDX-License-Identifier: MIT
#include "control/change/measures.h"

#include <cstddef>

#include "control/reconcile.h"
#include "dataplane/drop_reason.h"

namespace portcullis::control {
namespace {

std::uint64_t denied_by(const dataplane::WorkerStatus& worker) {
  std::uint64_t denied = 0;
  for (const auto reason :
       {dataplane::DropReason::policy_denied, dataplane::DropReason::policy_deny}) {
    const auto index = static_cast<std::size_t>(reason);
    denied += index < worker.drops.size() ? worker.drops[index] : 0;
  }
  return denied;
}

ByMeasure<double> rates_of(const ByMeasure<std::uint64_t>& from,
                           const ByMeasure<std::uint64_t>& to,
                           double seconds) {
  ByMeasure<double> rates{};
  for (std::size_t i = 0; i < kMeasures; ++i) {
    // A namespace whose last policy went is counted anew when one comes back.
    const std::uint64_t more = to.at(i) < from.at(i) ? to.at(i) : to.at(i) - from.at(i);
    rates.at(i) = static_cast<double>(more) / seconds;
  }
  return rates;
}

}  // namespace

Tally tally_of(const Reconcile& reconcile) {
  Tally tally{.by_namespace = reconcile.measured_by_namespace()};
  for (const dataplane::WorkerStatus& worker : reconcile.dataplane().workers) {
    tally.all[static_cast<std::size_t>(Measure::denied)] += denied_by(worker);
    tally.all[static_cast<std::size_t>(Measure::resets)] += worker.resets;
  }
  return tally;
}

Rates rates_between(const Tally& from, const Tally& to, std::chrono::duration<double> span) {
  Rates rates{.all = rates_of(from.all, to.all, span.count())};
  for (const auto& [name, counts] : to.by_namespace) {
    const auto before = from.by_namespace.find(name);
    const bool is_new = before == from.by_namespace.end();
    rates.by_namespace[name] =
        rates_of(is_new ? ByMeasure<std::uint64_t>{} : before->second, counts, span.count());
  }
  return rates;
}

std::string_view to_string(Measure measure) {
  constexpr ByMeasure<std::string_view> kNames{"denied_per_second", "resets_per_second"};
  return kNames.at(static_cast<std::size_t>(measure));
}

}  // namespace portcullis::control
