#!/usr/bin/env python3
"""One weights_hash over every way to train on the real set: the table of results/one_hash/README.md.

    scripts/results_one_hash.py build/release/xbench pneumonia64.h5 OUT [--epochs 2]

pneumonia64.h5 is what scripts/results_pneumonia.sh imports first. Trains pneumonia_cnn with configs/pneumonia_kaggle.json:
once in one process, then in every other way that promises the same bits, the number of ranks and threads, DDP and the stages
of ZeRO, with and without activation checkpointing, nodes, overlap, several passes, and interrupted and resumed. Once for
batch normalisation over the whole batch, once for that over each virtual rank. Prints a table in Markdown; exit code 1 where
two hashes differ. With more ranks than cores it takes its time.
"""
import argparse, os, pathlib, signal, subprocess, sys, time

from results_runs import ROOT, record_of, start_training


class Way:
    """One way to train: `then` are further ways, each going on where the one before was interrupted."""

    def __init__(self, ranks=1, threads=1, stage=None, nodes=None, then=(), **settings):
        self.ranks, self.threads, self.stage, self.nodes, self.then = ranks, threads, stage, nodes, then
        self.settings = settings

    def __str__(self):
        trainer = "serial" if self.ranks == 1 else "cpu_ddp" if self.stage is None else f"sharded stage {self.stage}"
        words = [trainer, f"{self.ranks} x {self.threads}"] + [f"{key} {str(value).lower()}" for key, value in self.settings.items()]
        if self.nodes:
            words.append("nodes " + self.nodes)
        return ", ".join(words)

    def start(self, options, out):
        trainer = "serial" if self.ranks == 1 else "cpu_ddp" if self.stage is None else "sharded"
        settings = {"data.path": options.data, "train.epochs": options.epochs, "train.checkpoint_steps": 20}
        settings |= {"train." + key: value for key, value in self.settings.items()}
        arguments = ["--resume", "--threads", str(self.threads)] + (["--stage", str(self.stage)] if self.stage else [])
        return start_training(options.xbench, out, settings, self.ranks, trainer, arguments,
                              ROOT / "configs/pneumonia_kaggle.json", nodes=self.nodes, log=open(f"{out}.log", "a"))


def interrupt(way, options, out):
    """Stops the run once it has made a checkpoint that was not there before."""
    before = newest_checkpoint(out)
    process = way.start(options, out)
    while process.poll() is None and newest_checkpoint(out) == before:
        time.sleep(0.05)
    ranks = subprocess.run(["pgrep", "-f", f"^{options.xbench} train .*--out {out} "], capture_output=True, text=True).stdout.split()
    for rank in ranks:
        os.kill(int(rank), signal.SIGTERM)
    if process.wait() != 75:
        raise SystemExit(f"{way}: exit code {process.returncode} after SIGTERM instead of 75")


def newest_checkpoint(out):
    return max((folder.name for folder in (out / "checkpoints").glob("step-*")), default="")


def run(way, options, out):
    """The weights' hash of the last epoch."""
    ways = [way, *way.then]
    for part in ways[:-1]:
        interrupt(part, options, out)
    if ways[-1].start(options, out).wait() != 0:
        raise SystemExit(f"{way}: the run failed; see {out}.log")
    record = record_of(out)
    return record["counters"]["final_weights_hash"], record["counters"]["test_accuracy"]


def ways_with_global_statistics():
    yield Way()
    yield Way(threads=2)
    for ranks in (2, 3, 4, 8):
        yield Way(ranks)
        for stage in (1, 2, 3):
            yield Way(ranks, stage=stage)
    yield Way(2, threads=2)
    yield Way(2, threads=2, stage=3)
    yield Way(activation_checkpointing=True)
    yield Way(2, activation_checkpointing=True)
    for stage in (1, 2, 3):
        yield Way(2, stage=stage, activation_checkpointing=True)
    for overlap in ("none", "inline", "thread", "fused"):
        yield Way(2, overlap=overlap)
    for stage in (1, 2, 3):
        yield Way(2, stage=stage, overlap="thread")
    yield Way(2, nodes="0,1")
    yield Way(4, nodes="0,0,1,1")
    yield Way(4, nodes="0,0,1,1", stage=3)
    yield Way(4, nodes="0,0,1,1", stage=3, hybrid_sharding=True)
    yield Way(2, then=(Way(3),))
    yield Way(2, then=(Way(2, stage=3), Way()))
    yield Way(3, stage=2, then=(Way(4, stage=3, activation_checkpointing=True), Way(2)))


def ways_with_local_statistics():
    local = {"batchnorm": "local"}
    yield Way(**local)
    yield Way(threads=2, **local)
    yield Way(accumulate=4, **local)
    for ranks in (2, 3, 4, 8):
        yield Way(ranks, **local)
    yield Way(2, accumulate=2, **local)
    yield Way(2, stage=1, **local)
    yield Way(2, stage=1, accumulate=2, **local)
    yield Way(2, stage=2, **local)
    yield Way(2, stage=3, **local)
    yield Way(3, stage=3, accumulate=2, activation_checkpointing=True, **local)
    yield Way(2, stage=3, accumulate=2, overlap="thread", **local)
    yield Way(2, overlap="thread", **local)
    yield Way(2, then=(Way(3, **local),), **local)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("xbench")
    parser.add_argument("data")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    same = True
    print("| trainer, ranks x threads, settings | then resumed by | weights_hash of the last epoch | test accuracy |")
    print("| --- | --- | --- | --- |")
    for ways in (ways_with_global_statistics(), ways_with_local_statistics()):
        first = None
        for number, way in enumerate(ways):
            found, accuracy = run(way, options, options.out / f"{'local' if way.settings.get('batchnorm') else 'global'}-{number:02}")
            first = first or found
            same = same and found == first
            print(f"| {way} | {'; '.join(str(part) for part in way.then)} | `{found}`{'' if found == first else ' DIFFERS'} | "
                  f"{accuracy:.4f} |", flush=True)
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
