#!/usr/bin/env python3
"""Checks the rules of the house over the whole tree; CONTRIBUTING.md lists them.

    scripts/check_house.py [--root DIR] [RULE...]    all rules, or those named
    scripts/check_house.py --list                    the names of the rules

Prints FILE:LINE: RULE: what is wrong and what to do. Exit status 1 if anything is wrong.
"""
import argparse
import functools
import glob
import os
import re
import shutil
import subprocess
import sys

# Floors, bottom to top, and what each may include beside itself; a name with a slash is a header.
ALLOWED = {
    "base": [],
    "config": ["base"],
    "classifier": ["base"],
    "policy": ["base", "classifier/rule.h", "classifier/rule_delta.h", "classifier/reference.h",
               "classifier/key.h",
               "classifier/verdict.h"],
    "dataplane": ["base", "config", "classifier"],
    "observe": ["base", "config", "classifier", "policy", "dataplane"],
    "control": ["base", "config", "classifier", "policy", "dataplane", "observe"],
    "apps": ["base", "config", "classifier", "policy", "dataplane", "observe", "control"],
}
# Third parties and the only places in the product that may include them.
CONFINED = {
    r"rte_\w+\.h": ["dataplane/dpdk/"],
    r"hs\w*\.h": ["dataplane/l7/"],
    r"yaml\.h": ["policy/manifest/yaml.cc"],
    r"toml\+\+/.*": ["config/toml_value.h"],
    r"nlohmann/.*": ["control/", "observe/"],
    r"pcap(/.*)?\.h": ["dataplane/pcap.cc"],
    r"openssl/.*": ["base/digest.cc"],
    r"spdlog/.*": ["base/log.h", "base/log.cc"],
    r"CLI/.*": ["apps/"],
    r"systemd/.*": ["apps/"],
}
# Files of the packet path, and what may not stand in them.
HOT = re.compile(
    r"(dataplane/(pipeline|conntrack|flows/query|quota/|tcp/|packet/|dpdk/(worker|forward))"
    r"|classifier/kernel)")
HOT_BANNED = {
    r"\bstd::function\b": "a type-erased call; take a template parameter",
    r"\bvirtual\b": "a virtual call; take a template parameter",
    r"\bstd::(mutex|lock_guard|unique_lock|scoped_lock)\b": "a lock; use a per-worker struct",
    r"\blog::(debug|info|warn|error)\b": "a log call; count it and let the control thread tell",
    r"\b(throw|try|catch)\b": "an exception; count a DropReason",
    r"\b(clock_gettime|steady_clock|system_clock|rte_rdtsc|rte_get_tsc_cycles)\b":
        "a clock read; take the time as an argument, read once per burst in worker.cc",
}
BANNED_WORDS = {"manager", "helper", "helpers", "util", "utils", "common", "data", "info", "misc"}
LINES_MAX, FUNCTION_MAX, PARAMETERS_MAX, COLUMNS_MAX, STEMS_MAX = 600, 70, 5, 100, 15
SPDX = "// SPDX-License-Identifier: MIT"
SKIPPED_FOLDERS = {"build", ".git", "__pycache__", ".cache", "shared"}
TEXT_ENDINGS = (".cc", ".h", ".py", ".sh", ".build", ".toml", ".txt", ".md", ".yaml", ".yml")


class Tree:
    """The files of the repository, read once."""

    def __init__(self, root):
        self.root = root
        self.files = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
            self.files += [os.path.relpath(os.path.join(folder, name), root)
                           for name in sorted(names)]
        self.cpp = [f for f in self.files if f.endswith((".cc", ".h"))]
        self.product = [f for f in self.cpp if top(f) in ALLOWED]
        self.scripts = [f for f in self.files if top(f) == "scripts"]
        self.docs = [f for f in self.files if f.endswith(".md")]
        self.text = [f for f in self.files if f.endswith(TEXT_ENDINGS) or f in self.scripts]

    @functools.lru_cache(maxsize=None)
    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
            return file.read()

    @functools.lru_cache(maxsize=None)
    def code(self, path):
        return without_comments(self.read(path))

    def lines(self, path):
        return enumerate(self.read(path).splitlines(), 1)


def top(path):
    return path.split("/")[0] if "/" in path else ""


def without_comments(text):
    """C++ with comments, strings and preprocessor lines blanked; lines keep their numbers."""
    token = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
        r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.S | re.M)

    def blank(match):
        found = match.group(0)
        quote = '"' if found[0] in 'R"' else " "
        return quote + re.sub(r"[^\n]", " ", found[1:-1]) + quote if len(found) > 1 else " "

    return token.sub(blank, text)


def functions(code):
    """Yields (header, first line, last line) of each function body in blanked C++."""
    scopes = []  # Kinds of the open braces: "outer" (namespace, type), "function", "other".
    start = 0  # Where the header of what comes next begins.
    opened = 0
    depth = 0  # Of parentheses.
    for i, char in enumerate(code):
        if char in "()":
            depth += 1 if char == "(" else -1
        elif char == ";" and depth == 0 or char == ":" and re.search(
                r"\b(public|private|protected)\s*$", code[start:i]):
            start = i + 1
        elif char == "{":
            kind = kind_of_block(code[start:i], scopes, depth)
            scopes.append(kind)
            if kind == "function":
                opened = start
            if kind in ("function", "outer"):
                start = i + 1
        elif char == "}" and scopes:
            kind = scopes.pop()
            if kind == "function":
                header = code[opened:code.index("{", opened)]
                first = opened + len(code[opened:i]) - len(code[opened:i].lstrip())
                yield header.strip(), code.count("\n", 0, first) + 1, code.count("\n", 0, i) + 1
            if kind in ("function", "outer"):
                start = i + 1


def kind_of_block(header, scopes, depth):
    if depth > 0 or any(scope != "outer" for scope in scopes):
        return "other"
    if re.search(r"\bconcept\b", header):
        return "other"
    if re.search(r"\b(namespace|class|struct|union|enum|extern)\b(\s*alignas\([^)]*\))?[^()=]*$",
                 header):
        return "outer"
    if "(" not in header or re.search(r"[^=!<>]=\s*$", header):
        return "other"
    # "Thing() : a_{1} {": a brace that touches a name opens a value, not a body.
    in_initialisers = re.search(r"\)[^()]*[^:]:[^:]", header) is not None
    return "other" if in_initialisers and re.search(r"\w$", header) else "function"


def parameters(header):
    """How many parameters a function's header declares."""
    group = re.search(r"(operator\s*\(\)|[\w~>\]=+*/<!-])\s*\(", header)
    if group is None:
        return 0
    depth = angle = commas = 0
    for char in header[group.end():]:
        if char == ")" and depth == 0:
            break
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(char, 0)
        angle += {"<": 1, ">": -1}.get(char, 0)
        commas += char == "," and depth == 0 and angle == 0
    inside = header[group.end():].lstrip()
    return 0 if inside.startswith(")") else commas + 1


# --- Rules: each yields (file, line, message) -------------------------------------------------


def layers(tree):
    for path in tree.product:
        folder = top(path)
        for number, line in tree.lines(path):
            found = re.match(r'#include "([^"]+)"', line)
            if found is None:
                continue
            name = found.group(1)
            if "/" not in name or ".." in name:
                yield path, number, f'include from the root: "{folder}/{name}"'
            elif top(name) != folder and not any(
                    name == a or name.startswith(a + "/") for a in ALLOWED[folder]):
                floors = ", ".join(ALLOWED[folder]) or "nothing"
                yield path, number, f"{folder}/ may include {floors}, not {name}"


def third_parties(tree):
    for path in tree.product:
        for number, line in tree.lines(path):
            found = re.match(r"#include <([^>]+)>", line)
            for pattern, homes in CONFINED.items():
                if found and re.fullmatch(pattern, found.group(1)) and not any(
                        path == home or home.endswith("/") and path.startswith(home)
                        for home in homes):
                    yield path, number, (f"<{found.group(1)}> belongs in {', '.join(homes)}; "
                                         "give that file a function with types of ours")


def sizes(tree):
    for path in tree.text:
        count = tree.read(path).count("\n")
        if count > LINES_MAX and not path.startswith("examples/") and path not in tree.docs:
            yield path, LINES_MAX, f"{count} lines; split the file by purpose (at most {LINES_MAX})"
    others = [f for f in tree.files if f.endswith((".toml", ".build"))]
    for path in tree.cpp + tree.scripts + others:
        for number, line in tree.lines(path):
            if len(line) > COLUMNS_MAX and "http" not in line:
                yield path, number, f"{len(line)} columns; break the line (at most {COLUMNS_MAX})"
    for folder in ALLOWED:
        stems = {os.path.splitext(f)[0] for f in tree.product if os.path.dirname(f) == folder}
        if len(stems) > STEMS_MAX:
            yield folder, 0, f"{len(stems)} files; make a subfolder (at most {STEMS_MAX} names)"


def function_sizes(tree):
    for path in tree.cpp:
        for header, first, last in functions(tree.code(path)):
            if last - first + 1 > FUNCTION_MAX:
                yield path, first, (f"function of {last - first + 1} lines; give its steps names "
                                    f"(at most {FUNCTION_MAX})")
            if parameters(header) > PARAMETERS_MAX and not header.startswith("TEST"):
                yield path, first, (f"{parameters(header)} parameters; make them a struct "
                                    f"(at most {PARAMETERS_MAX})")


def openings(tree):
    for path in tree.cpp:
        lines = tree.read(path).splitlines() + ["", "", ""]
        if lines[0] != SPDX:
            yield path, 1, f"line 1 must be '{SPDX}'"
        alone = path.endswith(".cc") and "_test" not in path and path[:-3] + ".h" not in tree.files
        if (path.endswith(".h") or alone) and not lines[1].startswith("// "):
            yield path, 2, "line 2 must tell in a comment what this file is for"
        if path.endswith(".h") and "#pragma once" not in lines:
            yield path, 1, "a header needs #pragma once"
        own = path[:-3] + ".h"
        includes = [line for line in lines if line.startswith("#include")]
        if path.endswith(".cc") and own in tree.files and includes[:1] != [f'#include "{own}"']:
            yield path, 1, f'include "{own}" first: that proves the header self-contained'


def namespaces(tree):
    for path in tree.product:
        folder = top(path)
        wanted = "portcullis" if folder == "base" else f"portcullis::{folder}"
        if folder != "apps" and f"namespace {wanted}" not in tree.read(path):
            yield path, 1, f"put its names in namespace {wanted}"


def names(tree):
    declaration = re.compile(r"\b(?:class|struct|enum(?: class)?|namespace|using)\s+(\w+)")
    for path in tree.files:
        stem = os.path.splitext(os.path.basename(path))[0]
        if path.endswith((".cc", ".h", ".py", ".sh")) and BANNED_WORDS & words(stem):
            yield path, 1, f"'{stem}' says nothing; name the file after what it does"
    for path in tree.cpp:
        for number, line in enumerate(tree.code(path).splitlines(), 1):
            for name in declaration.findall(line):
                if BANNED_WORDS & words(name):
                    yield path, number, f"'{name}' says nothing; name it after what it is"


def words(name):
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+", name)}


def leftovers(tree):
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    homes = re.compile(r"(?<![\w.])/(wo" r"rk/|tmp/w" r"t\b|ho" r"me/[a-z]|ro" r"ot/)")
    for path in tree.text + [f for f in tree.files if top(f) in ("examples", ".ci")]:
        for number, line in tree.lines(path):
            found = marks.search(line)
            if found:
                yield path, number, f"{found.group(0)}: do it, or open an issue and drop the mark"
            if homes.search(line):
                yield path, number, "a path of one machine; make it relative or an argument"


def hot_path(tree):
    for path in tree.product:
        if not HOT.match(path):
            continue
        for number, line in enumerate(tree.code(path).splitlines(), 1):
            for pattern, what in HOT_BANNED.items():
                allowed = path.startswith("dataplane/dpdk/worker") and "clock" in what
                if re.search(pattern, line) and not allowed:
                    yield path, number, f"on the packet path: {what}"


def used_files(tree):
    builds = {os.path.dirname(f): tree.read(f) for f in tree.files
              if os.path.basename(f) == "meson.build"}
    for path in (f for f in tree.cpp if f.endswith(".cc")):
        folder, name = os.path.split(path)
        stem = name[:-3]
        short = re.sub(r"_(test|fuzz)$", "", stem)
        while folder and folder not in builds:
            folder = os.path.dirname(folder)
        text = builds.get(folder, "")
        in_folder = os.path.relpath(path, folder or ".")
        if not any(f"'{n}'" in text for n in (name, in_folder, in_folder[:-3], stem, short)):
            yield path, 1, f"no meson.build builds it; name it in {folder}/meson.build or delete it"
    everything = "\n".join(tree.read(f) for f in tree.cpp)
    for path in (f for f in tree.product if f.endswith(".h")):
        if f'#include "{path}"' not in everything:
            yield path, 1, "nothing includes it; delete it"
    for path in tree.scripts:
        others = (f for f in tree.text + [".ci/run"] if f != path and f in tree.files)
        if not any(os.path.basename(path) in tree.read(f) for f in others):
            yield path, 1, "nothing mentions it; say in CONTRIBUTING.md what it is for"


def documents(tree):
    """Names in `backticks` that look like files or functions of ours must exist."""
    tops = {top(f) for f in tree.files} | {f for f in tree.files if "/" not in f}
    source = "\n".join(tree.read(f) for f in tree.cpp + tree.scripts)
    for path in tree.docs:
        for number, line in tree.lines(path):
            for quoted in re.findall(r"`([^`]+)`", line) + re.findall(r"\]\(([^)#]+)\)", line):
                if top(quoted) in tops and top(quoted) and " " not in quoted:
                    yield from missing_files(tree, path, number, quoted)
                function = re.fullmatch(r"(?:\w+::)*(\w+)\(\)", quoted)
                if function and not re.search(rf"\b{function.group(1)}\b", source):
                    yield path, number, f"there is no function {quoted}; mend the document"


def missing_files(tree, path, number, quoted):
    for name in braces_expanded(quoted):
        if re.search(r"\b(FOLDER|FILE|NAME|KIND)\b", name):
            continue  # A placeholder.
        full = os.path.join(tree.root, name)
        if not os.path.exists(full) and not ("*" in name and glob.glob(full)):
            yield path, number, f"there is no {name}; mend the document"


def braces_expanded(name):
    """{"a/b.h", "a/c.h"} for "a/{b,c}.h"."""
    found = re.search(r"\{([^{}]*)\}", name)
    if found is None:
        return [name]
    return [expanded for part in found.group(1).split(",")
            for expanded in braces_expanded(name[:found.start()] + part + name[found.end():])]


def formatting(tree):
    tool = shutil.which("clang-format-14")
    if tool is None:
        yield "scripts/setup", 1, "clang-format-14 is missing; run scripts/setup"
        return
    run = subprocess.run([tool, "--dry-run", "-Werror", *tree.cpp], cwd=tree.root, text=True,
                         stderr=subprocess.PIPE, check=False)
    for name, number in sorted(set(re.findall(r"^(\S+?):(\d+):\d+: error", run.stderr, re.M)))[:50]:
        yield name, int(number), "not formatted; run scripts/format.sh"


def headers(tree):
    """Headers that no .cc of their own includes first must compile alone."""
    alone = [f for f in tree.product if f.endswith(".h") and f[:-2] + ".cc" not in tree.files]
    flags = subprocess.run(["pkg-config", "--cflags", "libdpdk"], text=True, check=False,
                           stdout=subprocess.PIPE).stdout.split()
    for path in alone:
        dpdk = flags if path.startswith("dataplane/dpdk/") else []
        run = subprocess.run(
            ["g++", "-std=c++20", "-fsyntax-only", "-I.", *dpdk, "-x", "c++", "-"],
            input=f'#include "{path}"\n', cwd=tree.root, text=True, stderr=subprocess.PIPE,
            check=False)
        if run.returncode != 0:
            first = next(iter(re.findall(r"error: .*", run.stderr)), "error")
            yield path, 1, f"does not compile alone ({first}); include what it uses"


RULES = [layers, third_parties, sizes, function_sizes, openings, namespaces, names, leftovers,
         hot_path, used_files, documents, formatting, headers]


def check(root, chosen=None):
    """Every finding of the rules, as (file, line, rule, message)."""
    tree = Tree(root)
    return [(path, number, rule.__name__, message) for rule in RULES
            if not chosen or rule.__name__ in chosen for path, number, message in rule(tree)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=os.path.join(os.path.dirname(__file__), ".."))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("rules", nargs="*", metavar="RULE")
    options = parser.parse_args()
    known = [rule.__name__ for rule in RULES]
    if options.list:
        print("\n".join(known))
        return 0
    unknown = [rule for rule in options.rules if rule not in known]
    if unknown:
        parser.error(f"no such rule: {', '.join(unknown)}; there are {', '.join(known)}")
    findings = check(os.path.realpath(options.root), options.rules)
    for path, number, rule, message in findings:
        print(f"{path}:{number}: {rule}: {message}")
    print(f"{len(findings)} findings" if findings else "the house is in order")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
