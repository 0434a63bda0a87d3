// SPDX-License-Identifier: MIT
// Errors as values: Result<T>, Error and PORTCULLIS_TRY, the words of the whole control path.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace portcullis {

/// Why an operation did not happen. `message` says what is wrong and how to mend it, in one
/// sentence without a full stop; `where` is "file:line:column" or empty.
struct Error {
  std::string message;
  std::string where;
};

template <typename T>
using Result = tl::expected<T, Error>;

using Failure = tl::unexpected<Error>;

/// An error to return: `return fail("cannot open {}: {}", ...)` is written with fmt at the caller.
inline Failure fail(std::string message, std::string where = {}) {
  return Failure(Error{std::move(message), std::move(where)});
}

/// "where: message", or the message alone where no place is known.
inline std::string to_string(const Error& error) {
  return error.where.empty() ? error.message : error.where + ": " + error.message;
}

}  // namespace portcullis

#define PORTCULLIS_CONCAT_(a, b) a##b
#define PORTCULLIS_CONCAT(a, b) PORTCULLIS_CONCAT_(a, b)
#define PORTCULLIS_TRY_IMPL_(result, declaration, expression) \
  auto result = (expression);                                 \
  if (!result) {                                              \
    return ::portcullis::Failure(std::move(result).error());  \
  }                                                           \
  declaration = *std::move(result)

/// TRY(auto x, may_fail()): declares x, or returns the error from the enclosing function.
#define PORTCULLIS_TRY(declaration, expression) \
  PORTCULLIS_TRY_IMPL_(PORTCULLIS_CONCAT(try_result_, __LINE__), declaration, expression)

/// CHECK_OK(may_fail()): for a Result<void>.
#define PORTCULLIS_TRY_VOID(expression)                          \
  if (auto try_result = (expression); !try_result) {             \
    return ::portcullis::Failure(std::move(try_result).error()); \
  }
