// SPDX-License-Identifier: MIT
#include "classifier/table.h"

#include <utility>

#include "classifier/table_body.h"

namespace portcullis::classifier {

Table::Table(std::unique_ptr<const Body> body) : body_(std::move(body)) {}
Table::~Table() = default;

std::string Table::digest() const {
  return body_->digest;
}

const TableSizes& Table::sizes() const {
  return body_->sizes;
}

}  // namespace portcullis::classifier
