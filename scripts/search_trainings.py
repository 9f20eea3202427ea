#!/usr/bin/env python3
"""Random whole trainings by xbench against PyTorch in double precision (tests/golden/reference.py).

    search_trainings.sh [--seconds 60] [--cases 1000] [--seed 1] [--case N] [--xbench build/xbench]

Each case is drawn from (seed, number) over all keys of model, data and train. Compared: every tensor of the last and the best
weights, each epoch's losses, accuracies and learning rate, the best epoch, the test scores, and what eval and predict say of the
best weights. Rounding that a ReLU, a pooling window or Adam's division amplifies mostly goes away with other numbers: a case
that differs is run again with three other seeds, and counts as a fault where most differ again. Not where rounding always decides,
as in front of batch normalisations over four pixels of one image: there the reference, in double precision but with float32's
rounding errors added to its convolutions, differs from itself as far. Exit code 1 when there are faults."""
import argparse
import contextlib
import copy
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/golden"))

import h5py
import numpy as np
import torch
from safetensors.numpy import load_file

import reference
import training_cases as cases

# Keys that change nothing that the reference computes, or that it has no counterpart for.
NOT_DRAWN = {"/model/channels", "/model/size", "/model/classes", "/data/path", "/data/synthetic/count", "/data/synthetic/size",
             "/data/synthetic/channels", "/data/synthetic/seed", "/train/powersgd_rank"}


def write_set(case, path):
    data = cases.make_data(case["set"])
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=data["images"], chunks=(1, *data["images"].shape[1:]), fletcher32=True)
        file["labels"], file["split"] = data["labels"], data["split"]
        file.attrs["class_names"] = [f"c{k}" for k in range(case["set"]["classes"])]
    return data


def started(arguments, ranks=None):
    command = [str(a) for a in arguments]
    if ranks:
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), *command]
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_mpi_yield_when_idle="1")
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    return "" if done.returncode == 0 else f"exit {done.returncode}: {(done.stderr or done.stdout)[-400:]}"


def run_xbench(xbench, case, folder):
    config = {"model": case["model"], "data": {**case["data"], "path": str(folder / "set.h5")}, "train": case["train"]}
    (folder / "config.json").write_text(json.dumps(config))
    shutil.rmtree(folder / "run", ignore_errors=True)
    run = case["run"]
    arguments = [xbench, "train", "--config", folder / "config.json", "--out", folder / "run", "--trainer", run["trainer"],
                 "--threads", run["threads"], "--quiet"] + (["--stage", run["stage"]] if run["stage"] else [])
    return started(arguments, None if run["trainer"] == "serial" else run["ranks"])


def compare_weights(case, path, exact, single, key):
    """What differs."""
    found, bad = load_file(path), []
    for name, right in exact[key].items():
        if name not in found or found[name].shape != right.shape:
            bad.append(f"{key} {name}: {'missing' if name not in found else found[name].shape}")
            continue
        error = cases.rms(found[name].astype(np.float64) - right)
        allowed = cases.tolerance_of_weights(case, name, exact, single, key)
        if not error <= allowed:
            bad.append(f"{key} {name}: rms error {error:.3g}, allowed {allowed:.3g}")
    return bad + [f"{key}: {name} is no parameter" for name in found
                  if name not in exact[key] and not name.endswith("num_batches_tracked")]  # PyTorch's name for what xbench lacks


def differs(case, key, found, exact, single):
    return not abs(found - exact) <= cases.tolerance_of_score(case, key, exact, single)


def compare_history(case, rows, exact, single):
    bad = [] if len(rows) == len(exact["history"]) else [f"{len(rows)} epochs, {len(exact['history'])} expected"]
    for row, right, rounded in zip(rows, exact["history"], single["history"]):
        for key, value in right.items():
            if differs(case, key, float(row[key]), value, rounded[key]):
                bad.append(f"epoch {row['epoch']} {key}: {row[key]}, expected {value:.9g} (float32 {rounded[key]:.9g})")
        if int(row["images"]) != case["set"]["images"][0]:
            bad.append(f"epoch {row['epoch']}: {row['images']} images")
    return bad


def own_best_epoch(rows, monitor):
    """By the program's own history: the reference may choose another of two epochs that are equally good."""
    score = lambda row: (-float(row["val_loss"]) if monitor == "val_loss" else float(row[monitor]), -float(row["val_loss"]))
    return int(max(rows, key=lambda row: (score(row), -int(row["epoch"])))["epoch"])


def compare_best(xbench, case, folder, metrics, exact, single):
    """Test scores, eval and predict, where both trainings chose the same epoch."""
    bad, run = compare_weights(case, folder / "run/checkpoints/best.safetensors", exact, single, "best"), folder / "run"
    for key in ("loss", "accuracy", "balanced_accuracy"):
        if differs(case, key, metrics[key], exact["test"][key], single["test"][key]):
            bad.append(f"test {key}: {metrics[key]}, expected {exact['test'][key]} (float32 {single['test'][key]})")
    data = ["--checkpoint", run / "checkpoints", "--data", folder / "set.h5"]
    failed = started([xbench, "predict", *data, "--out", folder / "predicted.csv"])
    failed = failed or started([xbench, "eval", *data, "--split", "test", "--out", folder / "eval"])
    if failed:
        return bad + [f"predict or eval: {failed}"]
    with open(folder / "predicted.csv") as file:
        rows = list(csv.reader(file))
    columns = [i for i, name in enumerate(rows[0]) if name.startswith("p_")]
    got = np.array([[float(row[i]) for i in columns] for row in rows[1:]])
    if got.shape != exact["all"].shape:
        bad.append(f"predict: {got.shape} probabilities")
    elif not np.abs(got - exact["all"]).max() <= 10 * np.abs(single["all"] - exact["all"]).max() + (0.1 if cases.loose(case) else 1e-4):
        bad.append(f"predict: off by {np.abs(got - exact['all']).max():.3g}")
    again = json.loads((folder / "eval/metrics.json").read_text())
    if case["train"].get("precision") != "bf16":  # eval computes in fp32
        bad += [f"eval {key}: {again[key]}, {metrics[key]} by the training" for key in ("accuracy", "confusion", "per_class", "weights_hash")
                if again[key] != metrics[key]]
        if abs(again["loss"] - metrics["loss"]) > 1e-6 * abs(metrics["loss"]):
            bad.append(f"eval loss: {again['loss']}, {metrics['loss']} by the training")
    shutil.rmtree(folder / "eval", ignore_errors=True)
    return bad


def compare(xbench, case, folder):
    """A list of differences."""
    data = write_set(case, folder / "set.h5")
    failed = run_xbench(xbench, case, folder)
    if failed:
        return [failed]
    settings = cases.resolved(case)
    exact, single = (reference.train(case["model"], data, settings, t) for t in (torch.float64, torch.float32))
    with open(folder / "run/history.csv") as file:
        rows = list(csv.DictReader(file))
    metrics = json.loads((folder / "run/metrics.json").read_text())
    bad = compare_weights(case, folder / "run/checkpoints/last.safetensors", exact, single, "last")
    bad += compare_history(case, rows, exact, single)
    if metrics["best_epoch"] != own_best_epoch(rows, settings["monitor"]):
        bad.append(f"best epoch {metrics['best_epoch']}, {own_best_epoch(rows, settings['monitor'])} by its own history")
    if metrics["best_epoch"] == exact["best_epoch"] == single["best_epoch"]:
        bad += compare_best(xbench, case, folder, metrics, exact, single)
    return bad


@contextlib.contextmanager
def rounding_noise(seed):
    """Convolutions whose outputs are as far off as float32 rounds: 2^-24 of the sum of the magnitudes of what is added up."""
    exact, generator = torch.nn.functional.conv2d, torch.Generator().manual_seed(seed)

    def rounded(x, weight, bias=None, *rest):
        y = exact(x, weight, bias, *rest)
        with torch.no_grad():
            magnitude = exact(x.abs(), weight.abs(), None if bias is None else bias.abs(), *rest)
            return y + magnitude * (2 * torch.rand(y.shape, generator=generator, dtype=y.dtype) - 1) * 2.0 ** -24

    torch.nn.functional.conv2d = rounded
    try:
        yield
    finally:
        torch.nn.functional.conv2d = exact


def worst_ratio(case, found, exact, single):
    """Of a tensor's error to what is allowed."""
    return max(cases.rms(found[name].astype(np.float64) - right) / cases.tolerance_of_weights(case, name, exact, single)
               for name, right in exact["last"].items())


def always_rounding(case, folder):
    """Whether noise as small as rounding moves the reference as far as what the last run gave."""
    path = folder / "run/checkpoints/last.safetensors"
    if not path.exists():
        return False
    data, settings = write_set(case, folder / "set.h5"), cases.resolved(case)
    exact, single = (reference.train(case["model"], data, settings, t) for t in (torch.float64, torch.float32))
    found = worst_ratio(case, load_file(path), exact, single)
    for seed in range(8):
        with rounding_noise(seed):
            noisy = reference.train(case["model"], data, settings, torch.float64)
        if worst_ratio(case, noisy["last"], exact, single) > max(1, found / 2):
            return True
    return False


def is_rounding(xbench, case, folder):
    """Whether other images, masks and weights agree."""
    if always_rounding(case, folder):
        return True
    again = 0
    for k in range(3):
        other = copy.deepcopy(case)
        other["set"]["seed"] += 1 + k
        other["train"].update(seed=11 + k, adam_epsilon=1e-2)
        again += bool(compare(xbench, other, folder))
    return again < 2


def undrawn_keys(xbench, drawn):
    """Keys of the configuration that no case has set."""
    schema = json.loads(subprocess.run([xbench, "--print-schema"], capture_output=True, text=True, check=True).stdout)
    keys = set()
    for part in ("model", "data", "train"):
        node = schema["properties"][part]
        for option in node.get("anyOf", node.get("oneOf", [node])):
            for name, inner in option.get("properties", {}).items():
                keys |= {f"/{part}/{name}/{key}" for key in inner["properties"]} if "properties" in inner else {f"/{part}/{name}"}
    return sorted(keys - drawn - NOT_DRAWN)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind, value in (("seconds", float, 60), ("cases", int, 1000), ("seed", int, 1), ("case", int, None)):
        parser.add_argument(f"--{name}", type=kind, default=value)
    parser.add_argument("--xbench", default=str(ROOT / "build/xbench"))
    given = parser.parse_args()
    start, agreed, rounding, faults, drawn = time.time(), 0, 0, 0, set()
    with tempfile.TemporaryDirectory() as name:
        for number in [given.case] if given.case is not None else range(given.cases):
            if given.case is None and time.time() - start > given.seconds:
                break
            case = cases.draw(given.seed * 1000003 + number)
            drawn |= {f"/{part}/{key}" for part in ("model", "data", "train") for key in case[part]}
            try:
                bad = compare(given.xbench, case, pathlib.Path(name))
                amplified = bad and not bad[0].startswith("exit") and is_rounding(given.xbench, case, pathlib.Path(name))
            except Exception:
                bad, amplified = [traceback.format_exc()[-900:]], False
            agreed, rounding, faults = agreed + (not bad), rounding + bool(amplified), faults + bool(bad and not amplified)
            if bad:
                print(f"case {number} {'is rounding' if amplified else 'DIFFERS'}: {bad[0][:300]}", flush=True)
            if bad and not amplified:
                print(f"    {json.dumps(case)}\n    " + "\n    ".join(bad[1:8]), flush=True)
    print(f"seed {given.seed}: {agreed} agree, {rounding} differ by amplified rounding, {faults} differ; {time.time() - start:.0f} s")
    if agreed + rounding + faults >= 100:
        print("keys that no case has set:", ", ".join(undrawn_keys(given.xbench, drawn)) or "none")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
