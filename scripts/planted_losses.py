#!/usr/bin/env python3
"""Whether the nine factors of a scaling table (docs/factors.md) find losses that are planted into a sweep: the whole loss of
efficiency in its factor within 2 points, every other factor within 2 points of the same sweep without it. On a quiet machine of
at least two cores, where a round takes 80 s. Exit code 0: all were found, and no other factor moved; 1: not so; 77: this machine
cannot tell.

    planted_losses.py XBENCH [--out FOLDER] [--rounds 15] [--model pneumonia_cnn] [--batch 64] [--images 20000] [--only jitter,loader]

A round is one repeat of every sweep, with and without each loss. Each loss is judged by the median over rounds of the ratio of
its sweep to the one beside it, as a virtual machine drifts by more than 2 points in the minutes that whole sweeps are apart.
The intervals are of that median (order statistics, about 95%). Losses are small beside the noise of one run, so they need rounds:
a factor whose interval reaches from within 2 points to beyond them is undecided, and named. A second call with the same --out and
more rounds goes on.

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
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--model", default="pneumonia_cnn")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--only", default="")
    return parser.parse_args()


def median_interval(values):
    """Median and the order statistics that hold it in 95 of 100 cases or the most that so few values give."""
    ordered, n = sorted(values), len(values)
    below, chosen = 0.0, 0
    for rank in range(n // 2):
        below += _binomial(n, rank)
        if below > 0.025:
            break
        chosen = rank + 1
    low = max(chosen - 1, 0)
    return statistics.median(ordered), ordered[low], ordered[n - 1 - low]


def _binomial(n, k):
    ways = 1
    for i in range(k):
        ways = ways * (n - i) // (i + 1)
    return ways / 2.0 ** n


class Sweeps:
    def __init__(self, given, folder):
        self.given, self.folder = given, folder
        data = os.path.join(folder, "planted.h5")
        if not os.path.exists(data):
            subprocess.run([given.xbench, "data", "synth", "--out", data, "--count", str(given.images), "--quiet"], check=True,
                           stdout=subprocess.DEVNULL)
        config = {"name": "planted", "model": given.model, "data": {"path": data},
                  "train": {"batch_size": given.batch, "epochs": 1, "virtual_ranks": 8},
                  "sweep": [{"trainer": "serial"}, {"trainer": "cpu_ddp", "ranks": 2}], "scaling": {"repeats": 1}}
        with open(os.path.join(folder, "planted.json"), "w") as file:
            json.dump(config, file)

    def run(self, name, round_, plant="", settings=()):
        """The factors of the row, its efficiency and the records behind them, of one repeat with this loss."""
        out = os.path.join(self.folder, name, "round%02d" % round_)
        if os.path.exists(os.path.join(out, "report.html")):  # its last file
            return self.read(name, out)
        command = [self.given.xbench, "--config", os.path.join(self.folder, "planted.json"), "--out", out, "--quiet"]
        for setting in (*settings, "scaling.seed=%d" % (round_ + 1)):
            command += ["--set", setting]
        environment = dict(os.environ)
        environment.pop("XBENCH_PLANT", None)
        if plant:
            environment["XBENCH_PLANT"] = plant
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        if ended.returncode != 0:
            sys.exit("the sweep %s failed: see %s\n%s" % (name, os.path.join(out, "scaling.md"), ended.stderr.strip()[-300:]))
        return self.read(name, out)

    def read(self, name, out):
        rows = [line for line in csv.DictReader(open(os.path.join(out, "efficiency.csv"))) if line["row"] == ROW]
        if len(rows) != len(FACTORS):
            sys.exit("the sweep %s has no factors: see %s" % (name, os.path.join(out, "scaling.md")))
        factors = {line["factor"]: float(line["value"]) for line in rows}
        efficiency = 1.0
        for value in factors.values():
            efficiency *= value
        records = [json.loads(line) for line in open(os.path.join(out, "records.jsonl"))]
        return {"factors": factors, "efficiency": efficiency, "records": records}


def of_row(sweep, key):
    found = [record["counters"][key] for record in sweep["records"] if record["kind"] == "rep" and record["params"]["point"] == ROW]
    return statistics.median(statistics.mean(value) if isinstance(value, list) else value for value in found)


def ms_of_serial(sweep, probe):
    found = [record["counters"]["step_ms"] for record in sweep["records"]
             if (record["params"].get("probe") == probe if probe else record["kind"] == "rep" and record["params"]["point"] == "serial-r1-t1")]
    return statistics.median(found)


def plants(clean, given):
    """Of each loss: its factor, the sweep without it, the sweep with it (plant, settings), and the ratio that follows from what
    was planted, where that is known beforehand."""
    useful, step = of_row(clean, "useful_ms"), of_row(clean, "step_ms")
    delay = 0.1 * useful
    name = next(record["params"]["probe"] for record in clean["records"]
                if record["params"].get("probe", "").startswith("serial-t1-b%d-" % (given.batch // 2))
                and record["params"].get("copies", 1) == 1)
    whole, part = ms_of_serial(clean, ""), ms_of_serial(clean, name)
    fixed = 0.15 * part
    rate = of_row(clean, "gradient_bytes") / (0.15e-3 * step) / 1e6
    link = lambda mb: ("", ["scaling.slow_link_mb_per_s=%.6g" % mb])
    imbalance = (useful + delay / 2) / (useful + delay)
    sweeps = {
        "clean": ("", []),
        "even": ("delay=%.4f,%.4f" % (delay / 2, delay / 2), []),
        "load_balance": ("delay=0,%.4f" % delay, []),
        "jitter": ("delay=0,%.4f rotate=1" % delay, []),
        "fast_link": link(1e7),
        "transfer": link(rate),
        "loader": ("starve=%.4f" % (1.2 * step), []),
        "contention": ("hog=0.15", []),
        "granularity": ("step=%.4f" % fixed, []),
    }
    losses = {
        "load_balance": ("even", imbalance),
        "jitter": ("even", imbalance),
        "transfer": ("fast_link", None),
        "loader": ("clean", None),
        "contention": ("clean", None),
        "granularity": ("clean", ((whole + fixed) / (part + fixed)) / (whole / part)),
    }
    return sweeps, losses


def beyond(values, centre):
    """Whether a median with its interval lies beyond POINTS of the centre: "no", "yes", or "undecided" where its interval does not
    tell."""
    median, low, high = values
    if low > centre + POINTS or high < centre - POINTS:
        return "yes"
    return "no" if abs(median - centre) <= POINTS else "undecided"


def verdict(factor, expected, before, after):
    """One line, whether the loss was found, and what its noise leaves open."""
    pairs = list(zip(before, after))
    ratios = {name: median_interval([b["factors"][name] / a["factors"][name] for a, b in pairs]) for name in FACTORS}
    lost = median_interval([b["efficiency"] / a["efficiency"] for a, b in pairs])
    own = beyond(ratios[factor], expected if expected else lost[0])
    others = {name: beyond(ratios[name], 1) for name in FACTORS if name != factor}
    shown = lambda values: "x %.3f (%.3f to %.3f)" % values
    said = {"no": "found", "yes": "NOT FOUND", "undecided": "undecided"}[own]
    for what, why in (("yes", "MOVED"), ("undecided", "undecided")):
        said += "".join("; %s %s %s" % (name, shown(ratios[name]), why) for name in others if others[name] == what)
    line = "%-12s  efficiency %s  its factor %s%s  %s" % (
        factor, shown(lost), shown(ratios[factor]), ", planted %.3f" % expected if expected else "", said)
    return line, own, others.values()


def main():
    given = arguments()
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: two ranks need two cores")
        return 77
    folder = given.out or tempfile.mkdtemp(prefix="planted-")
    os.makedirs(folder, exist_ok=True)
    runner = Sweeps(given, folder)
    sweeps, losses = plants(runner.run("first", 0), given)
    wanted = [name for name in given.only.split(",") if name]
    losses = {factor: loss for factor, loss in losses.items() if not wanted or factor in wanted}
    needed = [name for name in sweeps if name in losses or name in [loss[0] for loss in losses.values()]]
    for name in needed:
        print("sweep %-12s %s" % (name, " ".join(filter(None, [sweeps[name][0], *sweeps[name][1]])) or "no loss"), flush=True)
    made = {name: [] for name in needed}
    for round_ in range(given.rounds):
        for name in needed:
            made[name].append(runner.run(name, round_, *sweeps[name]))
        print("round %d of %d" % (round_ + 1, given.rounds), flush=True)
    verdicts = []
    for factor, (without, expected) in losses.items():
        line, own, others = verdict(factor, expected, made[without], made[factor])
        verdicts.append((own, list(others)))
        print(line, flush=True)
    every = [other for _, others in verdicts for other in others]
    print("%d of %d planted losses found within %g points, %d undecided; of %d other factors %d moved, %d undecided; sweeps in %s" % (
        sum(own == "no" for own, _ in verdicts), len(losses), 100 * POINTS, sum(own == "undecided" for own, _ in verdicts),
        len(every), every.count("yes"), every.count("undecided"), folder))
    return 0 if all(own == "no" for own, _ in verdicts) and "yes" not in every else 1


if __name__ == "__main__":
    sys.exit(main())
