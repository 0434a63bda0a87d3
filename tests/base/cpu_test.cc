// SPDX-License-Identifier: MIT
#include "base/cpu.h"

#include <array>
#include <thread>

#include <sched.h>

#include <gtest/gtest.h>

namespace portcullis {
namespace {

TEST(ParseIsa, ReadsWhatToStringWrites) {
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    EXPECT_EQ(parse_isa(to_string(isa)).value(), isa);
  }
}

TEST(ParseIsa, NamesTheChoices) {
  for (const char* name : {"", "AVX2", "avx", "sse4"}) {
    const auto isa = parse_isa(name);
    ASSERT_FALSE(isa) << name;
    EXPECT_NE(isa.error().message.find("use scalar, avx2 or avx512"), std::string::npos);
  }
}

TEST(BestIsa, IsSupportedAndScalarAlwaysIs) {
  EXPECT_TRUE(supported(Isa::scalar));
  EXPECT_TRUE(supported(best_isa()));
  EXPECT_TRUE(!supported(Isa::avx512) || best_isa() == Isa::avx512);
}

TEST(StayOn, KeepsTheCallingThreadToProcessorsThatThereAre) {
  std::thread([] {
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    std::uint32_t first = 0;
    while (CPU_ISSET(first, &set) == 0) {
      ++first;
    }
    EXPECT_TRUE(stay_on(std::array{first}));
    EXPECT_EQ(sched_getcpu(), static_cast<int>(first));
    EXPECT_FALSE(stay_on(std::array{first, 1023U}));
    EXPECT_FALSE(stay_on(std::array{1'000'000U}));
  }).join();
}

}  // namespace
}  // namespace portcullis
