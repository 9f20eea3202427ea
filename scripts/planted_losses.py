#!/usr/bin/env python3
"""Whether the nine factors of a scaling table (docs/factors.md) find losses that are planted into a sweep: the whole loss of
efficiency in its factor within 2 points, every other factor within 2 points of the same sweep without it. On a quiet machine of
at least two cores, where it takes about a quarter of an hour. Exit code 0: all were found; 1: not; 77: this machine cannot tell.

    planted_losses.py XBENCH [--out FOLDER] [--repeats 9] [--model rsna_cnn] [--batch 32] [--images 2400] [--only jitter,loader]

A rank that computes longer than the other also raises the mean of both, which is computing and not imbalance. So the sweep that
imbalance and jitter are compared with has the same delay, shared evenly.
"""
import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile

FACTORS = ["granularity", "threads", "contention", "code", "load_balance", "jitter", "serialisation", "transfer", "loader"]
POINTS = 0.02
ROW = "cpu_ddp-r2-t1"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xbench")
    parser.add_argument("--out")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--model", default="rsna_cnn")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=2400)
    parser.add_argument("--only", default="")
    return parser.parse_args()


class Sweeps:
    def __init__(self, given, folder):
        self.given, self.folder, self.known = given, folder, {}
        config = {"name": "planted", "model": given.model, "data": {"synthetic": {"count": given.images, "size": 64}},
                  "train": {"batch_size": given.batch, "epochs": 1, "virtual_ranks": 8},
                  "sweep": [{"trainer": "serial"}, {"trainer": "cpu_ddp", "ranks": 2}], "scaling": {"repeats": given.repeats}}
        with open(os.path.join(folder, "planted.json"), "w") as file:
            json.dump(config, file)

    def run(self, name, plant="", settings=()):
        """The factors of the row and its efficiency, and the times behind them, of the sweep with this loss."""
        if name in self.known:
            return self.known[name]
        out = os.path.join(self.folder, name)
        command = [self.given.xbench, "--config", os.path.join(self.folder, "planted.json"), "--out", out, "--quiet"]
        for setting in settings:
            command += ["--set", setting]
        environment = dict(os.environ)
        environment.pop("XBENCH_PLANT", None)
        if plant:
            environment["XBENCH_PLANT"] = plant
        print("sweep %s: %s" % (name, plant or "no loss"), *settings, flush=True)
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        if ended.returncode != 0:
            sys.exit("the sweep %s failed: %s" % (name, ended.stderr.strip().splitlines()[-1:] or ended.stdout[-300:]))
        rows = [line for line in csv.DictReader(open(os.path.join(out, "efficiency.csv"))) if line["row"] == ROW]
        if len(rows) != len(FACTORS):
            sys.exit("the sweep %s has no factors: see %s" % (name, os.path.join(out, "scaling.md")))
        factors = {line["factor"]: float(line["value"]) for line in rows}
        efficiency = 1.0
        for value in factors.values():
            efficiency *= value
        records = [json.loads(line) for line in open(os.path.join(out, "records.jsonl"))]
        self.known[name] = {"factors": factors, "efficiency": efficiency, "records": records}
        return self.known[name]


def of_row(sweep, key):
    found = [record["counters"][key] for record in sweep["records"] if record["kind"] == "rep" and record["params"]["point"] == ROW]
    return statistics.median(statistics.mean(value) if isinstance(value, list) else value for value in found)


def ms_of_serial(sweep, probe):
    found = [record["counters"]["step_ms"] for record in sweep["records"]
             if (record["params"].get("probe") == probe if probe else record["kind"] == "rep" and record["params"]["point"] == "serial-r1-t1")]
    return statistics.median(found)


def plants(sweeps):
    """Of each loss: its factor, the sweep without it, the sweep with it, and the ratio that follows from what was planted."""
    clean = sweeps.run("clean")
    useful, step = of_row(clean, "useful_ms"), of_row(clean, "step_ms")
    delay = 0.1 * useful
    even = lambda: sweeps.run("even", "delay=%.4f,%.4f" % (delay / 2, delay / 2))
    imbalance = (useful + delay / 2) / (useful + delay)
    name = next(record["params"]["probe"] for record in clean["records"]
                if record["params"].get("probe", "").startswith("serial-t1-b%d-" % (sweeps.given.batch // 2))
                and record["params"].get("copies", 1) == 1)
    whole, part = ms_of_serial(clean, ""), ms_of_serial(clean, name)
    fixed = 0.15 * part
    rate = of_row(clean, "gradient_bytes") / (0.3e-3 * step) / 1e6
    link = lambda mb: ["scaling.slow_link_mb_per_s=%.6g" % mb]
    return {
        "load_balance": (even, lambda: sweeps.run("load_balance", "delay=0,%.4f" % delay), imbalance),
        "jitter": (even, lambda: sweeps.run("jitter", "delay=0,%.4f rotate=1" % delay), imbalance),
        "transfer": (lambda: sweeps.run("fast_link", "", link(1e7)), lambda: sweeps.run("transfer", "", link(rate)), None),
        "loader": (lambda: clean, lambda: sweeps.run("loader", "starve=%.4f" % (1.3 * step)), None),
        "contention": (lambda: clean, lambda: sweeps.run("contention", "hog=0.15"), None),
        "granularity": (lambda: clean, lambda: sweeps.run("granularity", "step=%.4f" % fixed),
                        ((whole + fixed) / (part + fixed)) / (whole / part)),
    }


def main():
    given = arguments()
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: two ranks need two cores")
        return 77
    folder = given.out or tempfile.mkdtemp(prefix="planted-")
    os.makedirs(folder, exist_ok=True)
    sweeps, failed, lines = Sweeps(given, folder), 0, []
    wanted = [name for name in given.only.split(",") if name]
    for factor, (without, planted, expected) in plants(sweeps).items():
        if wanted and factor not in wanted:
            continue
        before, after = without(), planted()
        ratio = {name: after["factors"][name] / before["factors"][name] for name in FACTORS}
        lost = after["efficiency"] / before["efficiency"]
        other = max((name for name in FACTORS if name != factor), key=lambda name: abs(ratio[name] - 1))
        found = abs(ratio[factor] - (expected if expected else lost)) <= POINTS and abs(ratio[other] - 1) <= POINTS
        failed += not found
        lines.append("%-13s efficiency x %.3f  its factor x %.3f%s  largest other %s x %.3f  %s" % (
            factor, lost, ratio[factor], " (planted %.3f)" % expected if expected else "", other, ratio[other],
            "found" if found else "NOT FOUND"))
        print(lines[-1], flush=True)
    print("%d of %d planted losses found within %g points; sweeps in %s" % (len(lines) - failed, len(lines), 100 * POINTS, folder))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
