// SPDX-License-Identifier: MIT
#include "base/digest.h"

#include <gtest/gtest.h>

namespace portcullis {
namespace {

TEST(Digest, IsSha256OfRawBytes) {
  // FIPS 180-2, appendix B.1.
  const std::string abc = "abc";
  EXPECT_EQ(Digest().add(std::as_bytes(std::span(abc))).finish(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Digest().finish(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Digest, DoesNotDependOnThePieces) {
  const std::string text(1000, 'x');
  const auto bytes = std::as_bytes(std::span(text));
  EXPECT_EQ(Digest().add(bytes).finish(),
            Digest().add(bytes.first(7)).add(bytes.subspan(7)).finish());
}

TEST(Digest, TellsStringsApartByTheirEnds) {
  EXPECT_NE(Digest().add("ab").add("c").finish(), Digest().add("a").add("bc").finish());
  EXPECT_NE(Digest().add(std::uint64_t{1}).finish(), Digest().add(std::uint64_t{2}).finish());
}

TEST(Digest, MovesWithWhatItHasTaken) {
  Digest first;
  first.add("a");
  Digest second(std::move(first));
  EXPECT_EQ(second.finish(), Digest().add("a").finish());
}

}  // namespace
}  // namespace portcullis
