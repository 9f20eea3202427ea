#!/usr/bin/env python3
"""Makes trainings.json: whole trainings by PyTorch in double precision (reference.py), with which CI compares xbench.

    python3 make_trainings.py

Run by hand; needs torch and numpy. Of the random cases of training_cases.py it takes those in which float32 stays close to double
precision: no ReLU or pooling window near a tie, so that a tight tolerance means something. README.md describes the file."""
import json
import pathlib

import numpy as np
import torch

import reference
import training_cases as cases

WANTED, SHOWN = 24, 4


def short(value):
    """Nine digits are more than float32 has."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [short(v) for v in value]
    return {k: short(v) for k, v in value.items()} if isinstance(value, dict) else value


def precise(exact, single):
    """Whether PyTorch's own float32 ends within a thousandth of what training changed."""
    for name, right in exact["last"].items():
        change = cases.rms(right - exact["first"][name])
        if cases.rms(single["last"][name] - right) > 1e-3 * change + 1e-7 * cases.rms(right) + 1e-9:
            return False
    return exact["best_epoch"] == single["best_epoch"]


def spread(flat):
    """A few elements over the whole tensor."""
    return [float(flat[i * flat.size // SHOWN]) for i in range(min(SHOWN, flat.size))]


def described(case, exact, single):
    tensors = {}
    for name, right in exact["last"].items():
        tensors[name] = {"elements": right.size, "rms": cases.rms(right), "moved": cases.rms(right - exact["first"][name]),
                         "shown": spread(right.ravel()), "tolerance": cases.tolerance_of_weights(case, name, exact, single),
                         "float32_error": float(np.abs(single["last"][name] - right).max())}
    history = [{key: [value, cases.tolerance_of_score(case, key, value, rounded[key])] for key, value in right.items()}
               for right, rounded in zip(exact["history"], single["history"])]
    test = {key: [exact["test"][key], cases.tolerance_of_score(case, key, exact["test"][key], single["test"][key])]
            for key in ("loss", "accuracy", "balanced_accuracy")}
    return {**case, **short({"history": history, "test": test, "best_epoch": exact["best_epoch"], "last": tensors})}


def main():
    kept, number = [], 0
    while len(kept) < WANTED:
        case, number = cases.draw(number), number + 1
        if cases.loose(case) or case["train"].get("overlap") == "fused":  # the test's ranks are threads
            continue
        per_model = sum(case["model"]["name"] == other["model"]["name"] for other in kept)
        data, settings = cases.make_data(case["set"]), cases.resolved(case)
        if per_model >= 5 or settings["epochs"] < 2 or np.prod(data["images"].shape) > 60000:
            continue
        exact, single = (reference.train(case["model"], data, settings, t) for t in (torch.float64, torch.float32))
        if precise(exact, single):
            kept.append(described(case, exact, single))
    text = "[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in kept) + "\n]\n"
    path = pathlib.Path(__file__).parent / "trainings.json"
    path.write_text(text)
    print(f"{path.name}: {len(kept)} of {number} cases, {len(text)} bytes, torch {torch.__version__}")


if __name__ == "__main__":
    main()
