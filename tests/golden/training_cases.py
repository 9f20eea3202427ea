"""Random training runs: the configuration, how it is run, and the data set, all drawn from a number.

A case is a dictionary: model, data and train as in a configuration file, run {trainer, ranks, threads, stage}, and set
{images: [train, val, test], size, channels, classes, multilabel, bits, seed}. make_trainings.py keeps some as golden cases,
scripts/search_trainings.py runs others through the program."""
import random

import numpy as np

from make_golden import random_bits
from reference import OWN_WIDTHS, f32, layers_of

STREAM_LABELS = 0x10001
TRAIN_DEFAULTS = {"optimizer": "adam", "learning_rate": 1e-3, "weight_decay": 0.0, "momentum": 0.9, "adam_epsilon": 1e-8,
                  "beta1": 0.9, "beta2": 0.999, "batch_size": 64, "epochs": 1, "patience": 0, "monitor": "val_accuracy", "seed": 1,
                  "precision": "fp32", "virtual_ranks": 8, "reduction": "invariant", "batchnorm": "global", "accumulate": 1,
                  "lr_scaling": "none", "base_batch": 0, "warmup_steps": 0, "pos_weight": [], "compression": "none"}


def make_data(about):
    """Noise, with stripes that tell the classes apart. Whole numbers of Philox, so that tests make the same without Python."""
    count, size, classes = sum(about["images"]), about["size"], about["classes"]
    bits = random_bits(about["seed"], STREAM_LABELS, count * (classes if about["multilabel"] else 1))
    labels = (bits % 3 == 0).astype(np.uint8).reshape(count, classes) if about["multilabel"] else (bits % classes).astype(np.int32)
    y, x = np.mgrid[0:size, 0:size]
    stripes = np.stack([(x + 2 * y + k) % (classes + 1) == 0 for k in range(classes)])
    images = np.empty((count, about["channels"], size, size), np.uint16)
    for i in range(count):
        shown = stripes[labels[i].astype(bool)].sum(0) if about["multilabel"] else stripes[labels[i]]
        noise = random_bits(about["seed"], i, about["channels"] * size * size) % 120
        images[i] = noise.reshape(about["channels"], size, size) + 120 * shown
    return {"images": (images * 257).astype(np.uint16) if about["bits"] == 16 else images.astype(np.uint8), "labels": labels,
            "split": np.repeat(np.arange(3, dtype=np.uint8), about["images"])}


def leaves_of(case):
    train = {**TRAIN_DEFAULTS, **case["train"]}
    if train["reduction"] == "invariant":
        return train["virtual_ranks"]
    if train["batchnorm"] == "local":
        return case["run"]["ranks"] << (max(1, train["virtual_ranks"] // case["run"]["ranks"]).bit_length() - 1)
    return case["run"]["ranks"] * (1 << (train["accumulate"] - 1).bit_length())


def resolved(case):
    """The settings that reference.train asks for."""
    s = {**TRAIN_DEFAULTS, **case["train"]}
    listed = lambda value: value if isinstance(value, list) else [value]
    s["pos_weight"] = listed(s["pos_weight"])
    for key in ("mean", "std"):
        s[key] = listed(case["data"].get(key, 0.5))
    s["bn_eps"], s["bn_momentum"] = f32(case["model"].get("bn_eps", 1e-5)), f32(case["model"].get("bn_momentum", 0.1))
    return {**s, "multilabel": case["set"]["multilabel"], "classes": case["set"]["classes"], "leaves": leaves_of(case)}


def draw_set(r, name):
    multilabel = r.random() < (0.7 if name == "nih_cnn" else 0.35)
    return {"images": [r.randint(4, 60), r.randint(1, 24), r.randint(1, 24)], "size": r.randint(5, 40),
            "channels": r.choice([1, 1, 2, 3, 4, 5]), "classes": r.randint(1, 6) if multilabel else r.choice([2, 2, 3, 5, 10]),
            "multilabel": multilabel, "bits": r.choice([8, 8, 16]), "seed": r.randint(1, 10**6)}


def draw_model(r):
    """A model and a set that fit each other, at most some ten milliseconds a step."""
    while True:
        model = {"name": r.choice(list(OWN_WIDTHS))}
        if r.random() < 0.9:
            model["widths"] = [r.choice([1, 2, 3, 5, 8, 15, 16, 17, 24, 32, 33]) for _ in range(r.randint(1, 4))]
        if r.random() < 0.6:
            model["dropout"] = r.choice([0, 0, round(r.uniform(0.01, 0.9), 3)])
        if r.random() < 0.3:
            model["bn_eps"] = r.choice([1e-3, 1e-2])
        if r.random() < 0.3:
            model["bn_momentum"] = r.choice([0, 0.01, 0.5, 1])
        about = draw_set(r, model["name"])
        try:
            layers = layers_of(model, about["channels"], about["size"], about["classes"])
        except ValueError:
            continue
        work, side = 0, about["size"]
        for layer in layers:
            side = side // 2 if layer.kind == "pool" else side
            work += layer.inputs * layer.outputs * side * side if layer.kind == "conv" else 0
        if work < 300000:
            return model, about


def maybe(r, probability, values, key, value):
    if r.random() < probability:
        values[key] = value(r)


def draw_train(r, about):
    images = about["images"][0]
    t = {"batch_size": r.choice([images, r.randint(1, images), r.randint(1, images), 2 * images]), "epochs": r.randint(1, 3),
         "seed": r.choice([0, 1, 7, 2**31, 2**40 + 5, 2**62 + 3, r.randint(0, 10**6)]), "optimizer": r.choice(["adam", "adamw", "sgd"])}
    t["learning_rate"] = r.choice([1e-3, 1e-2, 3e-2] if t["optimizer"] == "sgd" else [1e-3, 3e-3, 1e-4])
    t["virtual_ranks"] = r.randint(1, min(t["batch_size"], 24))
    maybe(r, 0.5, t, "weight_decay", lambda r: r.choice([1e-4, 1e-2, 0.1]))
    maybe(r, 0.5, t, "momentum", lambda r: r.choice([0, 0.5, 0.9, 0.99]))
    t["adam_epsilon"] = r.choice([1e-7, 1e-5, 1e-4, 1e-3, 1e-2])
    maybe(r, 0.4, t, "beta1", lambda r: r.choice([0, 0.5, 0.8, 0.95]))
    maybe(r, 0.4, t, "beta2", lambda r: r.choice([0.5, 0.9, 0.99, 0.9999]))
    maybe(r, 0.3, t, "warmup_steps", lambda r: r.randint(1, 12))
    maybe(r, 0.3, t, "monitor", lambda r: r.choice(["val_accuracy", "val_loss", "val_balanced_accuracy"]))
    maybe(r, 0.2, t, "patience", lambda r: r.randint(1, 2))
    maybe(r, 0.2, t, "precision", lambda r: "bf16")
    maybe(r, 0.3, t, "activation_checkpointing", lambda r: True)
    maybe(r, 0.3, t, "check_steps", lambda r: r.randint(0, 2))
    maybe(r, 0.2, t, "checkpoint_steps", lambda r: r.randint(1, 4))
    maybe(r, 0.2, t, "checkpoint_keep", lambda r: r.randint(1, 3))
    maybe(r, 0.1, t, "collective_timeout_seconds", lambda r: r.choice([0, 60]))
    if r.random() < 0.3:
        t.update(lr_scaling=r.choice(["linear", "sqrt"]), base_batch=r.randint(1, 64))
    if about["multilabel"]:
        maybe(r, 0.6, t, "pos_weight", lambda r: r.choice([r.choice([0.3, 2.5, 10]),
                                                           [round(r.uniform(0.2, 6), 2) for _ in range(about["classes"])]]))
    return t


def draw_run(r, t, norms):
    """How it is run, with the keys of train that depend on it."""
    run = {"trainer": "serial", "ranks": 1, "threads": r.choice([1, 1, 2]), "stage": 0}
    t["batchnorm"] = r.choice(["global", "local"])
    t["reduction"] = r.choice(["invariant", "invariant", "fast"])
    if t["batchnorm"] == "local" or not norms:
        maybe(r, 0.5, t, "accumulate", lambda r: r.randint(1, min(8, t["virtual_ranks"])))
    most = t["virtual_ranks"] if t["reduction"] == "invariant" else t["batch_size"]
    if r.random() < 0.5 and most > 1:
        run.update(trainer=r.choice(["cpu_ddp", "sharded"]), ranks=r.randint(2, min(4, most)), threads=1)
    if run["trainer"] == "sharded":
        run["stage"] = r.randint(1, 3)
        maybe(r, 0.2, t, "hybrid_sharding", lambda r: True)
    elif run["ranks"] > 1 and t["reduction"] == "fast":
        maybe(r, 0.4, t, "compression", lambda r: r.choice(["fp16", "bf16"]))
    choices = ["auto", "thread", "inline", "none"]
    if run["trainer"] == "cpu_ddp" and "compression" not in t:
        choices.append("fused")
    maybe(r, 0.5, t, "overlap", lambda r: r.choice(choices))
    while t["reduction"] == "fast" and t["batch_size"] < run["ranks"] << (t.get("accumulate", 1) - 1).bit_length():
        t["accumulate"] = t["accumulate"] // 2
    return run


def draw(number):
    r = random.Random(number)
    model, about = draw_model(r)
    t = draw_train(r, about)
    norms = model["name"] not in ("fracture_cnn", "rsna_cnn")
    data = {}
    for key, low in (("mean", 0), ("std", 0.1)):
        one = lambda r: round(r.uniform(low, 1), 3)
        maybe(r, 0.5, data, key, lambda r: one(r) if r.random() < 0.5 else [one(r) for _ in range(about["channels"])])
    if isinstance(data.get("mean"), list) and about["channels"] == 1:
        data["mean"] = data["mean"][0]
    maybe(r, 0.3, data, "workers", lambda r: r.randint(0, 3))
    return {"model": model, "data": data, "train": t, "run": draw_run(r, t, norms), "set": about}


def rms(a):
    return float(np.sqrt(np.mean(np.square(a)))) if a.size else 0.0


def loose(case):
    """Numbers of 16 bits take part."""
    return case["train"].get("precision") == "bf16" or case["train"].get("compression", "none") != "none"


def tolerance_of_weights(case, name, exact, single, key="last"):
    """How far xbench may be from the exact weights (root mean square): ten times as far as PyTorch's own float32, or a small
    part of what training changed."""
    if loose(case) and name in exact["no_gradient"]:
        return float("inf")
    change = rms(exact[key][name] - exact["first"][name])
    return (10 * rms(single[key][name] - exact[key][name]) + (0.05 if loose(case) else 5e-4) * change +
            3e-7 * rms(exact[key][name]) + 1e-9)


def tolerance_of_score(case, key, exact, single):
    scale = 10 * abs(exact - single) + (1e-2 if loose(case) else 2e-5) * abs(exact) + 1e-7
    return scale + (0.35 if loose(case) and key.endswith("accuracy") else 0)
