// SPDX-License-Identifier: MIT
#include "bench/baselines/acl.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <arpa/inet.h>
#include <rte_acl.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <sched.h>
#include <sys/mman.h>

#include <fmt/format.h>

#include "bench/measure.h"

namespace portcullis::bench {
namespace {

// Memory for EAL's heap. It is only reserved: the system gives pages as they are touched.
constexpr const char* kHeapMegabytes = "8192";
constexpr std::uint32_t kFields = 5;
constexpr std::size_t kRowsPerKey = RTE_ACL_RESULTS_MULTIPLIER;

/// A key as rte_acl reads it: network byte order, the protocol first.
struct AclKey {
  std::uint8_t protocol = 0;
  std::array<std::uint8_t, 3> unused{};
  std::uint32_t src = 0;
  std::uint32_t dst = 0;
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
};
static_assert(sizeof(AclKey) == 16);

RTE_ACL_RULE_DEF(AclRule, kFields);

/// Field i is the i-th of the rule and reads 4 bytes of input together with its neighbours.
constexpr rte_acl_field_def field(std::uint8_t type,
                                  std::uint8_t size,
                                  std::uint8_t index,
                                  std::uint8_t input,
                                  std::size_t offset) {
  return {.type = type,
          .size = size,
          .field_index = index,
          .input_index = input,
          .offset = static_cast<std::uint32_t>(offset)};
}
constexpr std::array<rte_acl_field_def, kFields> kFieldDefs{
    field(RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0, offsetof(AclKey, protocol)),
    field(RTE_ACL_FIELD_TYPE_MASK, 4, 1, 1, offsetof(AclKey, src)),
    field(RTE_ACL_FIELD_TYPE_MASK, 4, 2, 2, offsetof(AclKey, dst)),
    field(RTE_ACL_FIELD_TYPE_RANGE, 2, 3, 3, offsetof(AclKey, src_port)),
    field(RTE_ACL_FIELD_TYPE_RANGE, 2, 4, 3, offsetof(AclKey, dst_port)),
};

/// From best to least. rte_acl_set_ctx_classify() says whether one can run here.
constexpr std::array<std::pair<enum rte_acl_classify_alg, const char*>, 5> kAlgorithms{{
    {RTE_ACL_CLASSIFY_AVX512X32, "avx512x32"},
    {RTE_ACL_CLASSIFY_AVX512X16, "avx512x16"},
    {RTE_ACL_CLASSIFY_AVX2, "avx2"},
    {RTE_ACL_CLASSIFY_SSE, "sse"},
    {RTE_ACL_CLASSIFY_SCALAR, "scalar"},
}};

int ask_for_huge_pages(const rte_memseg_list* list, void* /*unused*/) {
  // Without effect where the system gives none; then there are small ones.
  static_cast<void>(madvise(list->base_va, list->len, MADV_HUGEPAGE));
  return 0;
}

/// EAL can be started once in a process.
Result<void> start_eal_once() {
  const std::string core = fmt::format("--lcores=0@{}", sched_getcpu());
  std::array arguments{std::string("bench"),
                       core,
                       std::string("--no-shconf"),
                       std::string("--no-huge"),
                       std::string("--no-pci"),
                       std::string("--no-telemetry"),
                       std::string("--log-level=*:error"),
                       std::string("--force-max-simd-bitwidth=512"),
                       std::string("-m"),
                       std::string(kHeapMegabytes)};
  static std::array<char*, arguments.size()> argv;
  static auto kept = arguments;  // EAL keeps the pointers.
  std::ranges::transform(kept, argv.begin(), [](std::string& text) { return text.data(); });
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    return fail(fmt::format("DPDK's EAL does not start: {}", rte_strerror(rte_errno)));
  }
  rte_memseg_list_walk(ask_for_huge_pages, nullptr);
  return {};
}

const Result<void>& start_eal() {
  static const Result<void> kStarted = start_eal_once();
  return kStarted;
}

std::size_t heap_bytes() {
  rte_malloc_socket_stats stats{};
  rte_malloc_get_socket_stats(0, &stats);
  return stats.heap_allocsz_bytes;
}

AclRule to_acl(const ListedRule& listed) {
  const FilterRule& rule = listed.rule;
  AclRule out{};
  out.data.category_mask = 1U << listed.list;
  out.data.priority = static_cast<std::int32_t>(listed.priority);
  out.data.userdata = listed.answer;
  out.field[0].value.u8 = rule.protocol;
  out.field[0].mask_range.u8 = rule.protocol_mask;
  out.field[1].value.u32 = rule.src.address.v4();
  out.field[1].mask_range.u32 = rule.src.length;
  out.field[2].value.u32 = rule.dst.address.v4();
  out.field[2].mask_range.u32 = rule.dst.length;
  out.field[3].value.u16 = rule.src_port_first;
  out.field[3].mask_range.u16 = rule.src_port_last;
  out.field[4].value.u16 = rule.dst_port_first;
  out.field[4].mask_range.u16 = rule.dst_port_last;
  return out;
}

struct FreeContext {
  void operator()(rte_acl_ctx* context) const { rte_acl_free(context); }
};

class Acl : public Contestant {
 public:
  /// Errors: no memory; a rule that rte_acl refuses.
  Result<void> build(const RuleLists& lists) {
    static unsigned number = 0;
    name_ = fmt::format("acl{}", number++);
    unmatched_ = lists.unmatched;
    lists_ = lists.lists;
    rules_ = lists.rules.size();
    const rte_acl_param param{.name = name_.c_str(),
                              .socket_id = SOCKET_ID_ANY,
                              .rule_size = RTE_ACL_RULE_SZ(kFields),
                              .max_rule_num = static_cast<std::uint32_t>(rules_)};
    context_.reset(rte_acl_create(&param));
    if (context_ == nullptr) {
      return fail(fmt::format("rte_acl_create: {}", rte_strerror(rte_errno)));
    }
    for (const ListedRule& listed : lists.rules) {
      const AclRule rule = to_acl(listed);
      const int error =
          rte_acl_add_rules(context_.get(), reinterpret_cast<const rte_acl_rule*>(&rule), 1);
      if (error != 0) {
        return fail(fmt::format("rte_acl_add_rules: {}", rte_strerror(-error)));
      }
    }
    rte_acl_config config{};
    config.num_categories = categories();
    config.num_fields = kFields;
    std::ranges::copy(kFieldDefs, std::begin(config.defs));
    const std::size_t before = heap_bytes();
    const int error = rte_acl_build(context_.get(), &config);
    if (error != 0) {
      return fail(fmt::format("rte_acl_build: {}", rte_strerror(-error)));
    }
    bytes_ = heap_bytes() - before;
    choose_algorithm();
    return {};
  }

  [[nodiscard]] std::string_view algorithm() const { return algorithm_; }
  [[nodiscard]] Facts facts() const override { return {.bytes = bytes_, .rules = rules_}; }

  void load(std::span<const classifier::Key4> keys) override {
    keys_.clear();
    for (const classifier::Key4& key : keys) {
      keys_.push_back({.protocol = key.protocol,
                       .src = htonl(key.src),
                       .dst = htonl(key.dst),
                       .src_port = htons(key.src_port),
                       .dst_port = htons(key.dst_port)});
    }
    pointers_.clear();
    for (const AclKey& key : keys_) {
      pointers_.push_back(reinterpret_cast<const std::uint8_t*>(&key));
    }
  }

  void classify(std::size_t first, std::size_t count) override {
    rte_acl_classify(context_.get(),
                     pointers_.data() + first,
                     results_.data(),
                     static_cast<std::uint32_t>(count),
                     categories());
  }

  [[nodiscard]] std::uint32_t answer(std::size_t i) const override {
    std::uint32_t all = ~0U;
    for (std::size_t list = 0; list < lists_; ++list) {
      const std::uint32_t found = results_[i * categories() + list];
      all &= found != 0 ? found : unmatched_;
    }
    return all;
  }

 private:
  [[nodiscard]] std::uint32_t categories() const {
    return lists_ == 1 ? 1 : RTE_ACL_RESULTS_MULTIPLIER;
  }

  void choose_algorithm() {
    for (const auto& [algorithm, name] : kAlgorithms) {
      if (rte_acl_set_ctx_classify(context_.get(), algorithm) == 0) {
        algorithm_ = name;
        return;
      }
    }
  }

  std::string name_;
  std::string algorithm_;
  std::unique_ptr<rte_acl_ctx, FreeContext> context_;
  std::uint32_t unmatched_ = 0;
  std::uint8_t lists_ = 1;
  std::size_t rules_ = 0;
  std::size_t bytes_ = 0;
  std::vector<AclKey> keys_;
  std::vector<const std::uint8_t*> pointers_;
  std::array<std::uint32_t, kKeysPerCall * kRowsPerKey> results_{};
};

}  // namespace

Result<Entry> make_acl(const RuleLists& lists) {
  PORTCULLIS_TRY_VOID(start_eal());
  auto acl = std::make_unique<Acl>();
  const Stopwatch watch;
  PORTCULLIS_TRY_VOID(acl->build(lists));
  const double build_ms = watch.milliseconds();
  const std::string name = fmt::format("rte_acl {}", acl->algorithm());
  return Entry{.name = name, .contestant = std::move(acl), .build_ms = build_ms};
}

std::size_t acl_build_bytes(std::size_t rules) {
  // 1.35 million rules took 10 GB at their peak.
  constexpr std::size_t kBytesPerRule = 8000;
  return rules * kBytesPerRule;
}

}  // namespace portcullis::bench
