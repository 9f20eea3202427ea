#!/usr/bin/env python3
"""Two ranks against the machine's own ceiling: the table of results/two_ranks/README.md.

    scripts/results_two_ranks.py build/release/xbench OUT [--rounds 5] [--models pneumonia_cnn,rsna_cnn,cifar_cnn]

Two cores can do less than twice the work of one (shared caches, memory and clock). What they can do is measured by two
serial runs that know nothing of each other, started at once, one on each core. In every round take turns: one serial run
alone, those two copies, two ranks of cpu_ddp of one thread each with train.reduction invariant, and the same with fast.
Every core has the same batch throughout. Prints a table in Markdown of medians over rounds; ratios are made within a round.
OUT keeps every run's folder.

Where other guests of the machine slow down now this core and now that, ranks that wait for each other after every step lose
what copies do not. "copies in step" is what the two copies would have reached had each step taken as long as the slower one's
of that number. "less skew" takes from the ranks' steps what one waits longer than the other, because that came late.
"""
import argparse, pathlib, statistics

from results_runs import finish_training, start_training, synthetic

MODELS = {"pneumonia_cnn": (64, 1, 64, 30), "rsna_cnn": (32, 1, 128, 11), "cifar_cnn": (64, 3, 32, 11)}
# batch on a core, channels, size, steps an epoch


class Runs:
    def __init__(self, options):
        self.options, self.count = options, 0

    def start(self, model, cores, ranks, reduction):
        batch, channels, size, steps = MODELS[model]
        images = int(steps * batch * ranks / 0.7) + batch  # 70% are trained on
        self.count += 1
        out = self.options.out / f"{self.count:03}-{model}-{ranks}-{reduction}"
        settings = {"model": model, "train.batch_size": batch * ranks, "train.reduction": reduction, "train.epochs": 5,
                    "data": synthetic(images, size, channels)}
        return out, start_training(self.options.xbench, out, settings, ranks, cores=cores, arguments=["--threads", "1"])

    def finish(self, started):
        """Images a second of each run, its counters and the milliseconds of its whole batches' steps."""
        records = [finish_training(process, out) for out, process in started]
        return [(record["value"], record["counters"], whole_steps(record)) for record in records]


def whole_steps(record):
    """The last batch of an epoch is a small one."""
    samples = [ns * 1e-6 for ns in record["samples_ns"]]
    an_epoch = len(samples) // record["params"]["epochs"]
    return [ms for number, ms in enumerate(samples) if (number + 1) % an_epoch and number >= record["counters"]["warmup_steps"]]


def measure(runs, model, rounds):
    found = []
    for _ in range(rounds):
        alone = runs.finish([runs.start(model, "0", 1, "invariant")])[0][0]
        copies = runs.finish([runs.start(model, core, 1, "invariant") for core in "01"])
        slower = [max(pair) for pair in zip(copies[0][2], copies[1][2])]
        one = {"alone": alone, "copies": copies[0][0] + copies[1][0],
               "copy_step": statistics.mean(run[1]["step_ms"] for run in copies), "in_step": statistics.mean(copies[0][2] + copies[1][2]) / statistics.mean(slower)}
        for reduction in ("invariant", "fast"):
            value, counters, _ = runs.finish([runs.start(model, "0,1", 2, reduction)])[0]
            one[reduction] = value
            one[reduction + "_step"] = counters["step_ms"]
            one[reduction + "_exposed"] = counters["exposed_comm_ms"]
            one[reduction + "_skew"] = counters["rank_skew_ms"]
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
    print("| model, batch on a core | serial, images/s | two copies | copies in step | two ranks | ranks / copies | lowest - highest | "
          "ranks / copies in step | ranks less skew / copies | exposed, ms | of it skew | without skew |")
    print("| --- " * 12 + "|")
    costs = []
    for model in options.models.split(","):
        found = measure(runs, model, options.rounds)
        middle = lambda value: statistics.median(value(one) for one in found)
        share = sorted(one["invariant"] / one["copies"] for one in found)
        without = middle(lambda one: (one["invariant_exposed"] - one["invariant_skew"]) / one["invariant_step"])
        print(f"| {model}, {MODELS[model][0]} | {middle(lambda one: one['alone']):,.0f} | "
              f"{middle(lambda one: one['copies'] / one['alone']):.2f}x | "
              f"{middle(lambda one: one['copies'] * one['in_step'] / one['alone']):.2f}x | "
              f"{middle(lambda one: one['invariant'] / one['alone']):.2f}x | "
              f"{statistics.median(share):.3f} | {share[0]:.3f} - {share[-1]:.3f} | "
              f"{middle(lambda one: one['invariant'] / one['copies'] / one['in_step']):.3f} | "
              f"{middle(lambda one: one['copy_step'] / (one['invariant_step'] - one['invariant_skew'])):.3f} | "
              f"{middle(lambda one: one['invariant_exposed']):.2f} | {middle(lambda one: one['invariant_skew']):.2f} | "
              f"{100 * without:.1f}% of the step |", flush=True)
        costs.append(f"| {model} | {middle(lambda one: one['invariant_step']):.2f} | {middle(lambda one: one['fast_step']):.2f} | "
                     f"{middle(lambda one: one['invariant_step'] / one['fast_step']):.3f} | "
                     f"{middle(lambda one: (one['invariant_step'] - one['invariant_skew']) / (one['fast_step'] - one['fast_skew'])):.3f} |")
    print("\n| model | invariant, ms a step | fast, ms | invariant / fast | the same less skew |")
    print("| --- " * 5 + "|")
    print("\n".join(costs))


if __name__ == "__main__":
    main()
