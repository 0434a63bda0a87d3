// SPDX-License-Identifier: MIT
// What answers for a person are made of: members as text, tables, and the words that several of
// them have in common. A member that an answer lacks is as nothing, never an error.
// Thread: pure functions.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace portcullis::control {

/// A member as text; empty where there is none.
std::string text(const nlohmann::json& object, const char* name);
/// 0 where there is none.
double number(const nlohmann::json& object, const char* name);
const nlohmann::json& part(const nlohmann::json& object, const char* name);

/// Its first letters, or "-".
std::string short_digest(const nlohmann::json& object, const char* name);
/// A member of seconds: "9m12s".
std::string span_of(const nlohmann::json& object, const char* name);
/// "1.5 MiB".
std::string bytes_text(double bytes);

using Row = std::vector<std::string>;
/// Columns as wide as their widest cell, two blanks apart; the last one is ragged.
std::string table(const std::vector<Row>& rows);
/// How many of a list are not in the answer, by NAME_total; empty where all are.
std::string rest_line(const nlohmann::json& result, const char* list);

/// "3 namespaces, 17 pods, ...".
std::string counts_text(const nlohmann::json& counts);
/// "shop/db ingress rule 1 (FILE:LINE)", or what is built in.
std::string rule_name(const nlohmann::json& rule);
/// "FILE:LINE:COLUMN", as much of it as is known.
std::string place_of(const nlohmann::json& found);
/// A line each, as the compiler of a language would print it.
std::string diagnostic_lines(const nlohmann::json& list);

}  // namespace portcullis::control
