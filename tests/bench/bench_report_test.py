"""Tests of scripts/bench-report on a small run: the page's tables and the plots' lines."""
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts",
                      "bench-report")
sys.dont_write_bytecode = True
LOADER = importlib.machinery.SourceFileLoader("bench_report", SCRIPT)
SPEC = importlib.util.spec_from_loader("bench_report", LOADER)
bench_report = importlib.util.module_from_spec(SPEC)
LOADER.exec_module(bench_report)
SVG = "{http://www.w3.org/2000/svg}"


def row(part, name, contestant, rate, **more):
    known = {"part": part, "set": name, "pods": 0, "policies": 0, "set_rules": 0,
             "contestant": contestant, "mlps": {"mixed": rate} if rate else {}, "bytes": None,
             "touched_kb": None, "build_ms": None, "update_pod_us": None,
             "update_policy_us": None, "identities": None,
             "rules": None, "absent": ""}
    return known | more


def world(name, pods, contestant, rate, **more):
    return row("policies", name, contestant, rate, pods=pods, policies=pods // 10, **more)


RUN = {
    "machine": "A Processor; load average 0.10 0.20 0.30 1/99 7; pinned to core 1",
    "mode": "quick", "seed": 1, "notes": ["a quick run leaves out: much"],
    "rows": [
        world("1k", 1000, "permit avx512", 250.0, bytes=204288, build_ms=1.25, identities=112,
              update_pod_us=6.5, update_policy_us=212.0),
        world("1k", 1000, "rte_acl avx512x32", 10.0, bytes=50000000, build_ms=2000, rules=129954),
        world("10k", 10000, "permit avx512", 200.0, bytes=937984, build_ms=11.5, identities=991),
        world("10k", 10000, "rte_acl", None, absent="1443413 rules: only in the full run"),
        row("node", "10k node", "rte_acl avx512x32", 40.0, pods=10000, policies=1000, bytes=16000),
        row("classbench", "acl_1k", "rte_acl avx512x32", 48.5, set_rules=1000, rules=1000,
            bytes=2375168, build_ms=31.0),
        row("classbench", "acl_1k", "tuple space", 2.25, set_rules=1000, rules=1000),
    ],
    "figures": [
        {"name": "lookup_10k_mlps", "value": 200.0, "unit": "M/s", "target": ">=300",
         "reached": False},
        {"name": "table_1k_mb", "value": 0.204288, "unit": "MB", "target": "", "reached": None},
    ],
}


def page_of(run):
    return bench_report.page(run, "benchmarks", bench_report.plots(run["rows"]))


def loaded(mpps, lost, *percentiles):
    names = ("p50 us", "p90 us", "p99 us", "p99.9 us", "max us")
    return {"name": "of NDR", "Mpps": mpps, "lost %": lost} | dict(zip(names, percentiles))


PACED_GRIDS = [
    {"name": "latency, 10k flows, 64 B: portcullis",
     "rows": [loaded(1.0, 0, 2.0, 2.5, 4.0, 20.0, 110.0),
              loaded(8.0, 0, 3.0, 4.0, 9.0, 40.0, 150.0),
              loaded(10.0, 1.5, 80.0, 90.0, 95.0, 99.0, 150.0)]},
    {"name": "latency, 10k flows, 64 B: mac loop",
     "rows": [loaded(2.0, 0, 1.0, 1.2, 2.0, 9.0, 30.0)]},
    {"name": "latency, 10k flows, 1518 B: portcullis",
     "rows": [loaded(1.0, 0, 2.0, 2.5, 4.0, 20.0, 110.0)]},
]

THROUGHPUT_RUN = {
    "machine": "A Processor; load average 0.10 0.20 0.30 1/99 7; pinned to core 1",
    "mode": "quick", "seed": 1, "notes": [],
    "grids": [
        {"name": "pipeline, flows", "rows": [{"name": "10k", "cycles, burst 64": 66.4},
                                             {"name": "1M", "cycles, burst 64": 127.0},
                                             {"name": "10k, new", "cycles, burst 64": 310.0}]},
        {"name": "10k flows, 64 B", "rows": [{"name": "portcullis", "Mpps": 12.5},
                                             {"name": "testpmd io", "Mpps": 25.0}]},
    ],
    "figures": [{"name": "pipeline_10k_cycles", "value": 66.4, "unit": "cycles",
                 "target": "<=40", "reached": False}],
}


class Page(unittest.TestCase):
    def test_figures_have_their_target_and_whether_it_was_reached(self):
        page = page_of(RUN)
        self.assertIn("| lookup_10k_mlps | 200 | M/s | >=300 | missed |", page)
        self.assertIn("| table_1k_mb | 0.204 | MB |", page)

    def test_a_table_for_each_set_has_a_line_for_each_contestant(self):
        page = page_of(RUN)
        self.assertIn("## 1,000 pods, 100 policies", page)
        self.assertIn("| permit avx512 | 250 | 4.00 | 204,288 | - | 1.25 | 6.50 / 212 | 112 | - |",
                      page)
        self.assertIn("## 10,000 pods, 1,000 policies: the pods of one node", page)
        self.assertIn("## acl_1k: 1,000 rules", page)

    def test_what_is_absent_is_said(self):
        page = page_of(RUN)
        self.assertIn("* rte_acl: 1443413 rules: only in the full run", page)
        self.assertIn("* a quick run leaves out: much", page)

    def test_a_busy_machine_is_said_in_bold(self):
        self.assertNotIn("not idle", page_of(RUN))
        busy = RUN | {"machine": "A Processor; load average 5.10 0.20 0.30"}
        self.assertIn("**The machine was not idle (load average 5.1", page_of(busy))


class Throughput(unittest.TestCase):
    def test_has_a_table_for_each_grid_and_shows_its_plots(self):
        drawn = bench_report.throughput_plots(THROUGHPUT_RUN)
        page = bench_report.grids_page(THROUGHPUT_RUN, "throughput", drawn)
        self.assertIn("| pipeline_10k_cycles | 66.4 | cycles | <=40 | missed |", page)
        self.assertIn("## 10k flows, 64 B", page)
        self.assertIn("| testpmd io | 25.0 |", page)
        self.assertIn("(throughput/cycles-flows.svg)", page)

    def test_plots_only_rows_that_are_a_number_of_flows(self):
        _, _, svg = bench_report.throughput_plots(THROUGHPUT_RUN)[0]
        line = next(iter(xml.etree.ElementTree.fromstring(svg).iter(SVG + "polyline")))
        self.assertEqual(len(line.get("points").split()), 2)


class Paced(unittest.TestCase):
    RUN = THROUGHPUT_RUN | {"grids": THROUGHPUT_RUN["grids"] + PACED_GRIDS}

    def svg(self, name):
        found = [svg for other, _, svg in bench_report.throughput_plots(self.RUN) if other == name]
        return xml.etree.ElementTree.fromstring(found[0])

    def test_draws_latency_of_the_shortest_frames_and_loss_once(self):
        names = [name for name, _, _ in bench_report.throughput_plots(self.RUN)]
        self.assertEqual([name for name in names if name.startswith(("latency", "loss"))],
                         ["latency-10k-flows", "loss-load"])

    def test_has_a_panel_for_each_forwarder_and_a_line_for_each_percentile(self):
        svg = self.svg("latency-10k-flows")
        self.assertEqual(len(list(svg.iter(SVG + "polyline"))) -
                         len(svg.findall(f"{SVG}polyline[@class='leader']")), 2 * 5)
        texts = [text.text for text in svg.iter(SVG + "text")]
        for label in ("Portcullis", "MAC loop", "p50", "p99.9", "max"):
            self.assertIn(label, texts)

    def test_tells_no_loss_from_a_little(self):
        texts = [text.text for text in self.svg("loss-load").iter(SVG + "text")]
        self.assertIn("none", texts)
        line = next(line for line in self.svg("loss-load").iter(SVG + "polyline")
                    if line.get("class") == "line ours")
        heights = [point.split(",")[1] for point in line.get("points").split()]
        self.assertEqual(heights[0], heights[1])
        self.assertLess(float(heights[2]), float(heights[1]))

    def test_the_page_has_the_tables(self):
        drawn = bench_report.throughput_plots(self.RUN)
        page = bench_report.grids_page(self.RUN, "throughput", drawn)
        self.assertIn("## latency, 10k flows, 1518 B: portcullis", page)
        self.assertIn("(throughput/loss-load.svg)", page)


class Swap(unittest.TestCase):
    RUN = THROUGHPUT_RUN | {"grids": [{"name": "205 swaps", "rows": [
        {"name": "publish", "p50 us": 21.5, "max us": 140.0}]}]}

    def test_has_a_page_of_its_own_without_plots(self):
        with tempfile.TemporaryDirectory() as folder:
            kept = os.path.join(folder, "run.json")
            with open(kept, "w", encoding="utf-8") as file:
                json.dump(self.RUN, file)
            report = os.path.join(folder, "report")
            subprocess.run([sys.executable, SCRIPT, "--swap", "--json", kept, "--out", report],
                           check=True, stdout=subprocess.DEVNULL)
            with open(os.path.join(report, "swap.md"), encoding="utf-8") as file:
                text = file.read()
            self.assertTrue(text.startswith("# Swap\n"))
            self.assertIn("| publish | 21.5 | 140 |", text)
            self.assertEqual(os.listdir(report), ["swap.md"])


class Plots(unittest.TestCase):
    def svg(self, name):
        found = [svg for other, _, svg in bench_report.plots(RUN["rows"]) if other == name]
        return xml.etree.ElementTree.fromstring(found[0])

    def test_are_svg_with_every_line_named(self):
        texts = [text.text for text in self.svg("rate-pods").iter(SVG + "text")]
        for label in ("Portcullis, AVX-512", "rte_acl", "rte_acl, one node", "1k", "10k"):
            self.assertIn(label, texts)

    def test_show_our_memory_once(self):
        texts = [text.text for text in self.svg("memory-pods").iter(SVG + "text")]
        self.assertIn("Portcullis", texts)
        self.assertNotIn("Portcullis, AVX-512", texts)

    def test_fall_from_left_to_right_where_rates_do(self):
        line = next(line for line in self.svg("rate-pods").iter(SVG + "polyline")
                    if line.get("class") == "line ours")
        (x1, y1), (x2, y2) = [tuple(map(float, point.split(",")))
                              for point in line.get("points").split()]
        self.assertLess(x1, x2)
        self.assertLess(y1, y2)

    def test_know_dark_paper(self):
        self.assertIn("prefers-color-scheme: dark", bench_report.STYLE)

    def test_that_would_be_empty_are_not_drawn(self):
        drawn = bench_report.plots([one for one in RUN["rows"] if one["part"] == "policies"])
        self.assertNotIn("rate-rules", [name for name, _, _ in drawn])


class Spread(unittest.TestCase):
    def test_leaves_what_is_far_apart(self):
        self.assertEqual(bench_report.spread([10, 50, 90], 17), [10, 50, 90])

    def test_parts_what_is_near_about_its_mean(self):
        self.assertEqual(bench_report.spread([50, 50, 52], 10),
                         [152 / 3 - 10, 152 / 3, 152 / 3 + 10])

    def test_keeps_the_gap_whatever_comes(self):
        heights = bench_report.spread([1, 2, 3, 20, 21, 60], 12)
        self.assertTrue(all(b - a >= 12 - 1e-9 for a, b in zip(heights, heights[1:])))


class Command(unittest.TestCase):
    def test_writes_the_page_and_takes_old_plots_away(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "benchmarks"))
            old = os.path.join(folder, "benchmarks", "old.svg")
            kept = os.path.join(folder, "run.json")
            for path, text in ((old, "<svg/>"), (kept, json.dumps(RUN))):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            subprocess.run([sys.executable, SCRIPT, "--json", kept, "--out", folder], check=True,
                           stdout=subprocess.DEVNULL)
            self.assertFalse(os.path.exists(old))
            with open(os.path.join(folder, "benchmarks.md"), encoding="utf-8") as file:
                text = file.read()
            for name in os.listdir(os.path.join(folder, "benchmarks")):
                self.assertIn(f"(benchmarks/{name})", text)


if __name__ == "__main__":
    unittest.main()
