// SPDX-License-Identifier: MIT
#include "base/digest.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include <openssl/evp.h>

#include "base/check.h"

namespace portcullis {

struct Digest::State {
  struct Free {
    void operator()(EVP_MD_CTX* owned) const { EVP_MD_CTX_free(owned); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

Digest::Digest() : state_(std::make_unique<State>()) {
  PORTCULLIS_CHECK(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
}
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;
Digest::~Digest() = default;

Digest& Digest::add(std::span<const std::byte> bytes) {
  PORTCULLIS_CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
  return *this;
}

Digest& Digest::add(std::string_view text) {
  add(std::uint64_t{text.size()});
  return add(std::as_bytes(std::span(text)));
}

Digest& Digest::add(std::uint64_t number) {
  return add(std::as_bytes(std::span(&number, 1)));
}

std::string Digest::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned length = 0;
  PORTCULLIS_CHECK(EVP_DigestFinal_ex(state_->context.get(), bytes.data(), &length) == 1);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(std::size_t{length} * 2);
  for (unsigned i = 0; i < length; ++i) {
    text += kDigits[bytes[i] >> 4U];
    text += kDigits[bytes[i] & 15U];
  }
  return text;
}

}  // namespace portcullis
