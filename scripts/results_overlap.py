#!/usr/bin/env python3
"""Overlap of communication and computing: the tables of results/overlap/README.md.

    scripts/results_overlap.py build/release/xbench OUT [--rounds 3] [--models rsna_cnn,cifar_cnn,pneumonia_cnn]

Two ranks of one thread each. First at full speed, through shared memory and through MPI (the ranks pretend to be on two
nodes): the values of train.overlap take turns. Then over an injected link on which communication alone takes 20, 40
and 60% of computing alone. Prints two tables in Markdown; OUT keeps every run's folder.

Exposed time is told in two: of the rank that waits least, which is communication, and what the other one waits longer, which
is skew: its peer came late. "hidden" compares the first.
"""
import argparse, pathlib, statistics

from results_runs import finish_training, start_training, synthetic

MODELS = {"rsna_cnn": (64, 1, 128), "cifar_cnn": (128, 3, 32), "pneumonia_cnn": (128, 1, 64)}  # batch, channels, size
STEPS = {"rsna_cnn": 20, "cifar_cnn": 20, "pneumonia_cnn": 40}


def run(options, model, overlap, mpi=False, rate=0.0):
    batch, channels, size = MODELS[model]
    images = int(STEPS[model] * batch / 0.7) + batch  # 70% are trained on
    out = options.out / f"{model}-{overlap}-{'mpi' if mpi else 'shm'}-{rate:.1f}-{len(list(options.out.iterdir()))}"
    settings = {"model": model, "train.batch_size": batch, "train.overlap": overlap, "scaling.slow_link_mb_per_s": rate,
                "data": synthetic(images, size, channels)}
    record = finish_training(start_training(options.xbench, out, settings, ranks=2, nodes="0,1" if mpi else None), out)
    counters = record["counters"]
    return {"step": counters["step_ms"], "exposed": counters["exposed_comm_ms"] - counters["rank_skew_ms"],
            "skew": counters["rank_skew_ms"], "bytes": counters["gradient_bytes"], "hash": record["weights_hash"]}


def take_turns(options, model, modes, **keywords):
    """Medians over rounds of step and exposed time in ms, by mode; weights must agree."""
    runs = {mode: [] for mode in modes}
    for _ in range(options.rounds):
        for mode in modes:
            runs[mode].append(run(options, model, mode, **keywords))
    hashes = {one["hash"] for many in runs.values() for one in many}
    assert len(hashes) == 1, f"{model}: the weights differ between modes: {hashes}"
    return {mode: {key: statistics.median(one[key] for one in many) for key in ("step", "exposed", "skew", "bytes")}
            for mode, many in runs.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("xbench")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default=",".join(MODELS))
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    full = {}
    print("| model | over | mode | step, ms | of none's | exposed, ms | of the step | skew, ms |")
    print("| --- " * 8 + "|")
    for model in options.models.split(","):
        for mpi in (False, True):
            found = take_turns(options, model, ["none", "inline", "thread"] + ["fused"] * (not mpi), mpi=mpi)
            if not mpi:
                full[model] = found["none"]
            for mode, is_ in found.items():
                print(f"| {model} | {'MPI' if mpi else 'shared memory'} | {mode} | {is_['step']:.2f} | "
                      f"{is_['step'] / found['none']['step']:.3f} | {is_['exposed']:.2f} | "
                      f"{100 * is_['exposed'] / is_['step']:.1f}% | {is_['skew']:.2f} |", flush=True)
    print("\n| model | link, MB/s | communication / computing alone | exposed none, ms | thread, ms | hidden | "
          "of the time saved | skew none, ms | thread |")
    print("| --- " * 9 + "|")
    for model, plain in full.items():
        compute = plain["step"] - plain["exposed"] - plain["skew"]
        for share in (0.2, 0.4, 0.6):
            rate = plain["bytes"] * 1e-6 / (share * compute * 1e-3)
            # Gradients are not all that the link carries: the sums of batch normalisation, and waiting for each message.
            rate *= run(options, model, "none", rate=rate)["exposed"] / compute / share
            found = take_turns(options, model, ["none", "thread"], rate=rate)
            behind, hidden = found["none"], found["thread"]
            print(f"| {model} | {rate:.1f} | {behind['exposed'] / compute:.2f} | {behind['exposed']:.2f} | "
                  f"{hidden['exposed']:.2f} | {100 * (1 - hidden['exposed'] / behind['exposed']):.0f}% | "
                  f"{100 * (behind['step'] - hidden['step']) / behind['exposed']:.0f}% | {behind['skew']:.2f} | "
                  f"{hidden['skew']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
