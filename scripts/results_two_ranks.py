#!/usr/bin/env python3
"""Two ranks against the machine's own ceiling: the table of results/two_ranks/README.md.

    scripts/results_two_ranks.py build/release/xbench OUT [--rounds 5] [--models pneumonia_cnn,rsna_cnn,cifar_cnn]

Two cores can do less than twice the work of one (shared caches, memory and clock). What they can do is measured by two
serial runs that know nothing of each other, started at once, one on each core. In every round take turns: one serial run
alone, those two copies, two ranks of cpu_ddp of one thread each with train.reduction invariant, and the same with fast.
Every core has the same batch throughout. Prints a table in Markdown of medians over rounds; ratios are made within a round.
OUT keeps every run's folder.
"""
import argparse, json, os, pathlib, statistics, subprocess

MODELS = {"pneumonia_cnn": (64, 1, 64, 120), "rsna_cnn": (32, 1, 128, 24), "cifar_cnn": (64, 3, 32, 24)}
# batch on a core, channels, size, steps an epoch


class Runs:
    def __init__(self, options):
        self.options, self.count = options, 0
        self.base = options.out / "base.json"
        self.base.write_text('{"model": "rsna_cnn", "data": {"synthetic": {"count": 100}}}')

    def start(self, model, cores, ranks, reduction):
        batch, channels, size, steps = MODELS[model]
        images = int(steps * batch * ranks / 0.7) + batch  # 70% are trained on
        self.count += 1
        out = self.options.out / f"{self.count:03}-{model}-{ranks}-{reduction}"
        data = {"synthetic": {"count": images, "size": size, "channels": channels}}
        settings = [f"model={model}", f"train.batch_size={batch * ranks}", f"train.reduction={reduction}", "train.epochs=2",
                    "data=" + json.dumps(data)]
        command = ["taskset", "-c", cores]
        if ranks > 1:
            command += ["mpirun", "-n", str(ranks), "--bind-to", "none"]
        command += [self.options.xbench, "train", "--config", str(self.base), "--quiet", "--out", str(out), "--trainer",
                    "cpu_ddp" if ranks > 1 else "serial"]
        for setting in settings:
            command += ["--set", setting]
        return out, subprocess.Popen(command, env=dict(os.environ, OMP_NUM_THREADS="1"))

    def finish(self, started):
        """Images a second of each run and its counters."""
        records = []
        for out, process in started:
            if process.wait() != 0:
                raise SystemExit(f"{out}: the run failed")
            records.append(json.loads((out / "records.jsonl").read_text().splitlines()[0]))
        return [(record["value"], record["counters"]) for record in records]


def measure(runs, model, rounds):
    found = []
    for _ in range(rounds):
        alone = runs.finish([runs.start(model, "0", 1, "invariant")])[0][0]
        copies = sum(value for value, _ in runs.finish([runs.start(model, core, 1, "invariant") for core in "01"]))
        one = {"alone": alone, "copies": copies}
        for reduction in ("invariant", "fast"):
            value, counters = runs.finish([runs.start(model, "0,1", 2, reduction)])[0]
            one[reduction] = value
            one[reduction + "_step"] = counters["step_ms"]
            one[reduction + "_exposed"] = counters["exposed_comm_ms"]
        found.append(one)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("xbench")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", default=",".join(MODELS))
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    runs = Runs(options)
    print("| model, batch on a core | serial, images/s | two copies: speed-up | two ranks: speed-up | of the copies | "
          "(lowest - highest) | fast: of the copies | invariant / fast step | exposed, ms (%) |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for model in options.models.split(","):
        found = measure(runs, model, options.rounds)
        middle = lambda value: statistics.median(value(one) for one in found)
        share = sorted(one["invariant"] / one["copies"] for one in found)
        exposed = middle(lambda one: one["invariant_exposed"])
        print(f"| {model}, {MODELS[model][0]} | {middle(lambda one: one['alone']):,.0f} | "
              f"{middle(lambda one: one['copies'] / one['alone']):.2f} | "
              f"{middle(lambda one: one['invariant'] / one['alone']):.2f} | "
              f"{statistics.median(share):.3f} | {share[0]:.3f} - {share[-1]:.3f} | "
              f"{middle(lambda one: one['fast'] / one['copies']):.3f} | "
              f"{middle(lambda one: one['invariant_step'] / one['fast_step']):.3f} | "
              f"{exposed:.2f} ({100 * middle(lambda one: one['invariant_exposed'] / one['invariant_step']):.1f}%) |", flush=True)


if __name__ == "__main__":
    main()
