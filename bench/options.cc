// SPDX-License-Identifier: MIT
#include "bench/options.h"

#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "classifier/lookup.h"

namespace portcullis::bench {
namespace {

Result<std::uint64_t> number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    return fail(fmt::format("\"{}\" is no number", digits));
  }
  return value;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    words.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return words;
}

/// Those that run here and are built, best first.
std::vector<Isa> every_isa() {
  const Isa before = classifier::current_isa();
  std::vector<Isa> isas;
  for (const Isa isa : {Isa::avx512, Isa::avx2, Isa::scalar}) {
    if (classifier::force_isa(isa)) {
      isas.push_back(isa);
    }
  }
  static_cast<void>(classifier::force_isa(before));
  return isas;
}

Result<void> follow(std::string_view name, std::string_view value, Options& options) {
  if (name == "--quick") {
    options.quick = true;
  } else if (name == "--classbench") {
    options.policies = false;
  } else if (name == "--policies") {
    options.classbench = false;
  } else if (name == "--seed") {
    PORTCULLIS_TRY(options.seed, number(value));
  } else if (name == "--isa") {
    PORTCULLIS_TRY(const Isa isa, parse_isa(value));
    PORTCULLIS_TRY_VOID(classifier::force_isa(isa));
    options.isas = {isa};
  } else if (name == "--worlds") {
    options.worlds = split(value);
  } else if (name == "--rules") {
    options.rules.emplace_back(value);
    options.policies = false;
  } else if (name == "--json") {
    options.json = value;
  } else {
    return fail(fmt::format("{} is no option", name));
  }
  return {};
}

bool wants_value(std::string_view name) {
  return name == "--seed" || name == "--isa" || name == "--worlds" || name == "--rules" ||
         name == "--json";
}

}  // namespace

const char* const kUsage =
    "usage: bench_classifier [OPTION...]\n"
    "  --quick          under 45 seconds; says what it leaves out\n"
    "  --policies       only the policy-shaped worlds\n"
    "  --worlds=LIST    only these of them: 1k,10k,100k,1m\n"
    "  --classbench     only the plain filter sets\n"
    "  --rules FILE     only this filter set, in ClassBench's format, gzipped or not\n"
    "  --seed=N         other worlds, sets and traces of the same shape\n"
    "  --isa=NAME       only this kernel of ours: scalar, avx2 or avx512\n"
    "  --json=FILE      also write everything there\n";

Result<Options> read_options(std::span<char* const> arguments) {
  Options options;
  options.isas = every_isa();
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    std::string_view name = arguments[i];
    std::string_view value;
    const std::size_t equals = name.find('=');
    if (equals != std::string_view::npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    } else if (wants_value(name)) {
      if (i + 1 == arguments.size()) {
        return fail(fmt::format("{} needs a value", name));
      }
      value = arguments[++i];
    }
    PORTCULLIS_TRY_VOID(follow(name, value, options));
  }
  return options;
}

}  // namespace portcullis::bench
