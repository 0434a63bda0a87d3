"""Tests of scripts/check_house.py on small trees: each rule finds its fault and nothing else."""
import importlib.util
import os
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
SPEC = importlib.util.spec_from_file_location(
    "check_house", os.path.join(ROOT, "scripts", "check_house.py"))
check_house = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_house)

OPENING = "// SPDX-License-Identifier: MIT\n// What it is for.\n"
HEADER = OPENING + "#pragma once\nnamespace portcullis {}\n"


class CheckHouse(unittest.TestCase):
    def findings(self, rule, files):
        """The rule's findings in a tree of these files, as (file, line)."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return [(path, line) for path, line, _, _ in check_house.check(root, [rule])]

    def test_layers_refuse_an_upward_include(self):
        files = {"base/a.h": '#include "policy/b.h"\n', "policy/b.h": '#include "base/a.h"\n'}
        self.assertEqual(self.findings("layers", files), [("base/a.h", 1)])

    def test_layers_give_policy_four_headers_of_the_classifier(self):
        files = {"policy/b.cc": '#include "classifier/rule.h"\n#include "classifier/table.h"\n'}
        self.assertEqual(self.findings("layers", files), [("policy/b.cc", 2)])

    def test_layers_want_includes_from_the_root(self):
        files = {"base/a.cc": '#include "a.h"\n#include "../base/a.h"\n'}
        self.assertEqual(self.findings("layers", files), [("base/a.cc", 1), ("base/a.cc", 2)])

    def test_third_parties_stay_in_their_file(self):
        files = {"dataplane/dpdk/port.cc": "#include <rte_ethdev.h>\n",
                 "dataplane/pipeline.cc": "#include <rte_ethdev.h>\n",
                 "policy/manifest/yaml.cc": "#include <yaml.h>\n",
                 "policy/load.cc": "#include <yaml.h>\n"}
        self.assertEqual(self.findings("third_parties", files),
                         [("dataplane/pipeline.cc", 1), ("policy/load.cc", 1)])

    def test_sizes_bound_files_and_columns(self):
        files = {"base/long.cc": "int x;\n" * 601, "base/wide.cc": "//" + "x" * 99 + "\n",
                 "base/fits.cc": "//" + "x" * 98 + "\n"}
        self.assertEqual(self.findings("sizes", files), [("base/long.cc", 600), ("base/wide.cc", 1)])

    def test_functions_are_bounded_in_lines_and_parameters(self):
        body = "  x = 1;\n" * 69
        files = {"base/a.cc": "namespace n {\n"
                              f"void fits() {{\n{body[9:]}}}\n"
                              f"struct alignas(64) S {{\n  S() : a_{{1}} {{\n{body}}}\n  int a_;\n}};\n"
                              "int six(int, int, int, std::map<int, int>, int, int) {\n}\n"
                              "constexpr A kTable[] = {f(1, 2, 3, 4, 5, 6), {1}};\n}\n"}
        self.assertEqual(self.findings("function_sizes", files),
                         [("base/a.cc", 73), ("base/a.cc", 146)])

    def test_function_finder_is_not_fooled_by_strings_and_comments(self):
        code = check_house.without_comments(
            'int f() {  // {\n  return s("}{", \'{\', R"({)");\n}\nint g() {\n}\n')
        self.assertEqual([(first, last) for _, first, last in check_house.functions(code)],
                         [(1, 3), (4, 5)])

    def test_openings_want_licence_purpose_and_own_header_first(self):
        own_first = "// SPDX-License-Identifier: MIT\n#include \"base/a.h\"\n"
        files = {"base/a.h": HEADER, "base/a.cc": own_first,
                 "base/b.h": HEADER.replace("#pragma once\n", ""),
                 "base/b.cc": "// SPDX-License-Identifier: MIT\n#include <map>\n#include \"base/b.h\"\n",
                 "base/c.cc": "int x;\n"}
        self.assertEqual(self.findings("openings", files),
                         [("base/b.cc", 1), ("base/b.h", 1), ("base/c.cc", 1), ("base/c.cc", 2)])

    def test_namespaces_follow_folders(self):
        files = {"policy/a.h": "namespace portcullis::policy {}", "policy/b.h": "namespace x {}",
                 "apps/main.cc": "int main() {}"}
        self.assertEqual(self.findings("namespaces", files), [("policy/b.h", 1)])

    def test_names_that_say_nothing_are_refused(self):
        files = {"base/string_utils.h": HEADER, "base/a.h": "struct RuleManager {\n};\n",
                 "base/b.h": "// class DataHelper\nstruct Database;\n"}
        self.assertEqual(self.findings("names", files),
                         [("base/string_utils.h", 1), ("base/a.h", 1)])

    def test_leftovers_are_found_in_any_text(self):
        files = {"a.md": "fine\nTO" "DO: more\n", "scripts/b": "mktemp /tmp/x.XXXXXX\n",
                 "base/c.cc": "// see /ho" "me/me/x\n"}
        self.assertEqual(self.findings("leftovers", files), [("a.md", 2), ("base/c.cc", 1)])

    def test_the_packet_path_neither_locks_nor_logs(self):
        files = {"dataplane/pipeline.cc": "// log::info\nstd::mutex m;\nlog::info(\"x\");\n",
                 "dataplane/dataplane.cc": "log::info(\"x\");\n"}
        self.assertEqual(self.findings("hot_path", files),
                         [("dataplane/pipeline.cc", 2), ("dataplane/pipeline.cc", 3)])

    def test_files_are_built_included_or_mentioned(self):
        files = {"base/meson.build": "'a.cc'", "base/a.cc": '#include "base/a.h"\n',
                 "base/a.h": "", "base/dead.cc": "", "base/dead.h": "",
                 "tests/base/meson.build": "foreach name : ['a']", "tests/base/a_test.cc": "",
                 "scripts/run": "", "scripts/lost": "", "README.md": "scripts/run"}
        self.assertEqual(self.findings("used_files", files),
                         [("base/dead.cc", 1), ("base/dead.h", 1), ("scripts/lost", 1)])

    def test_documents_name_what_exists(self):
        files = {"base/a.cc": "int compile();\n", "base/a.h": "",
                 "README.md": "`base/a.cc` `base/{a,b}.h` [x](base/c.cc)\n"
                              "`compile()` `n::gone()` `/etc/x` `other/thing`\n"}
        self.assertEqual(self.findings("documents", files),
                         [("README.md", 1), ("README.md", 1), ("README.md", 2)])

    def test_headers_compile_alone(self):
        files = {"base/a.h": "#pragma once\n#include <string>\nstd::string f();\n",
                 "base/b.h": "#pragma once\nstd::string g();\n"}
        self.assertEqual(self.findings("headers", files), [("base/b.h", 1)])

    def test_formatting_is_checked(self):
        files = {".clang-format": "BasedOnStyle: Google\n", "base/a.cc": "int x;\n",
                 "base/b.cc": "int   x;\n"}
        self.assertEqual(self.findings("formatting", files), [("base/b.cc", 1)])

    def test_an_empty_tree_is_in_order(self):
        for rule in check_house.RULES:
            self.assertEqual(self.findings(rule.__name__, {"README.md": "x\n"}), [])


if __name__ == "__main__":
    unittest.main()
