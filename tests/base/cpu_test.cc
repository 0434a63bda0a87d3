// SPDX-License-Identifier: MIT
#include "base/cpu.h"

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

}  // namespace
}  // namespace portcullis
