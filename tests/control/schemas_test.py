#!/usr/bin/env python3
"""Checks what goes over the control socket against docs/protocol/*.schema.json.

argv[1] is the program that talks to a control plane (messages.cc), argv[2] the folder docs.
Beyond what the schemas ask of clients, a result may have no member that its schema does not name:
who adds one says so there.
"""
import copy
import glob
import json
import os
import re
import subprocess
import sys
import unittest

import jsonschema  # python3-jsonschema: scripts/setup installs it.

PROGRAM, DOCS = sys.argv.pop(1), sys.argv.pop(1)
NO_METHODS = {"shared", "error"}
NO_SUCH_METHOD, WRONG_PARAMS = -32601, -32602


def read(name):
    with open(os.path.join(DOCS, name), encoding="utf-8") as file:
        return file.read()


def schemas():
    """Every schema by its name, with references into one document of them all."""
    found = {}
    for path in glob.glob(os.path.join(DOCS, "protocol", "*.schema.json")):
        name = os.path.basename(path).removesuffix(".schema.json")
        text = read(f"protocol/{name}.schema.json")
        found[name] = json.loads(re.sub(r'"([\w.]+)\.schema\.json#/', r'"#/$defs/\1/', text))
        del found[name]["$id"]
    return found


def closed(schema, is_use=True):
    """The schema, but without room for members that it does not name.

    A definition stays open, as what refers to it may add members; each use of it is closed.
    """
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    for key in ("properties", "$defs"):
        if key in out:
            out[key] = {name: closed(one, key == "properties") for name, one in out[key].items()}
    if "items" in out:
        out["items"] = closed(out["items"])
    if "oneOf" in out:
        out["oneOf"] = [closed(one, False) for one in out["oneOf"]]
    if is_use and {"properties", "$ref", "oneOf"} & set(out) and "additionalProperties" not in out:
        out["unevaluatedProperties"] = False
    return out


class Schemas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.schemas = schemas()
        cls.closed = {name: closed(one, False) for name, one in cls.schemas.items()}
        said = subprocess.run([PROGRAM], stdout=subprocess.PIPE, text=True, check=True).stdout
        cls.messages = [json.loads(line) for line in said.splitlines()]
        cls.methods = cls.methods_of_the_daemon()

    @classmethod
    def methods_of_the_daemon(cls):
        """Those that it names when it is asked for one that there is not."""
        for message in cls.messages:
            error = message["answer"].get("error", {})
            if error.get("code") == NO_SUCH_METHOD:
                return set(re.split(r", | and ", error["message"].split("there are ", 1)[1]))
        raise AssertionError("nobody has asked for a method that there is not")

    def problems(self, instance, pointer):
        """What is wrong with a message by the schema at `pointer`."""
        schema = {"$defs": self.closed, "$ref": f"#/$defs/{pointer}",
                  "unevaluatedProperties": False}
        validator = jsonschema.Draft202012Validator(schema)
        return [f"{pointer}: {error.json_path}: {error.message}"
                for error in validator.iter_errors(instance)]

    def test_are_schemas(self):
        for name, schema in self.schemas.items():
            with self.subTest(name):
                jsonschema.Draft202012Validator.check_schema(schema)

    def test_every_method_has_one_and_a_paragraph(self):
        self.assertEqual(set(self.schemas) - NO_METHODS, self.methods)
        part = read("protocol.md").split("\n## Methods\n")[1].split("\n## ")[0]
        self.assertEqual(set(re.findall(r"^### (.*)$", part, re.M)), self.methods)

    def test_every_method_was_heard(self):
        heard = {message["request"]["method"] for message in self.messages
                 if "result" in message["answer"]}
        self.assertEqual(heard, self.methods)

    def test_fit_what_the_daemon_takes(self):
        for message in self.messages:
            method, params = message["request"]["method"], message["request"]["params"]
            code = message["answer"].get("error", {}).get("code")
            if code not in (NO_SUCH_METHOD, WRONG_PARAMS):
                with self.subTest(method, params=params):
                    self.assertEqual(self.problems(params, f"{method}/$defs/params"), [])

    def test_fit_what_the_daemon_says(self):
        for message in self.messages:
            answer, method = message["answer"], message["request"]["method"]
            with self.subTest(method, answer=answer):
                if "error" in answer:
                    self.assertEqual(self.problems(answer["error"], "error"), [])
                else:
                    self.assertEqual(self.problems(answer["result"], f"{method}/$defs/result"), [])

    def test_refuse_members_that_they_do_not_name(self):
        for message in self.messages:
            method, answer = message["request"]["method"], message["answer"]
            if "result" in answer:
                more = copy.deepcopy(answer["result"])
                more["surprise"] = 1
                self.assertNotEqual(self.problems(more, f"{method}/$defs/result"), [], method)
        statuses = [message["answer"]["result"] for message in self.messages
                    if message["request"]["method"] == "status"]
        last = copy.deepcopy(statuses[-1])
        last["running"]["counts"]["surprise"] = 1
        self.assertNotEqual(self.problems(last, "status/$defs/result"), [])
        self.assertNotEqual(self.problems({"surprise": 1}, "commit/$defs/params"), [])
        self.assertNotEqual(self.problems({"surprise": 1}, "conntrack.list/$defs/params"), [])

    def test_know_the_errors_of_the_document(self):
        table = re.findall(r"^\| (-32\d+) \|", read("protocol.md").split("\n## Errors\n")[1], re.M)
        self.assertEqual(self.schemas["error"]["properties"]["code"]["enum"],
                         [int(code) for code in table])


if __name__ == "__main__":
    unittest.main()
