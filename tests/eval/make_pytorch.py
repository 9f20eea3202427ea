#!/usr/bin/env python3
"""Makes tests/eval/pytorch/: weights as PyTorch's users have them (safetensors.torch.save_file(model.state_dict())), a few images,
and what PyTorch predicts for them.

    python3 make_pytorch.py

Run by hand, never by the tests; needs torch, numpy, h5py and safetensors. For each case CASE.safetensors (the state dict of a
trained torch.nn.Sequential, in the order PyTorch has), CASE.h5 (images uint8 {n,c,h,w}, labels, all in split test) and
CASE.csv (id, p_0 ..: probabilities in double precision) and CASE.loss (the mean loss of these images in double precision)."""
import pathlib
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "golden"))
from reference import layers_of  # noqa: E402

FOLDER = pathlib.Path(__file__).parent / "pytorch"
CASES = {
    "one_label": {"model": {"name": "pneumonia_cnn", "widths": [4, 6, 8]}, "channels": 1, "size": 24, "classes": 3,
                  "mean": [0.5], "std": [0.5]},
    "several_labels": {"model": {"name": "pneumonia_cnn", "widths": [4, 5, 6]}, "channels": 3, "size": 16, "classes": 4,
                       "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "with_dropout": {"model": {"name": "cifar_cnn", "widths": [4, 4]}, "channels": 3, "size": 8, "classes": 2, "mean": [0.4],
                     "std": [0.3], "steps": 4},
}
IMAGES = 12


def module(layer):
    kinds = {"conv": lambda: torch.nn.Conv2d(layer.inputs, layer.outputs, 3, layer.stride, layer.pad),
             "norm": lambda: torch.nn.BatchNorm2d(layer.outputs), "relu": torch.nn.ReLU, "pool": lambda: torch.nn.MaxPool2d(2),
             "average": lambda: torch.nn.AdaptiveAvgPool2d(1), "flatten": torch.nn.Flatten,
             "dropout": lambda: torch.nn.Dropout(layer.probability), "linear": lambda: torch.nn.Linear(layer.inputs, layer.outputs)}
    return kinds[layer.kind]()


class Model(torch.nn.Module):
    def __init__(self, layers):
        super().__init__()
        modules = []
        for layer in layers:
            modules.append(module(layer))
            if layer.kind == "average":
                modules.append(torch.nn.Flatten())
        self.f = torch.nn.Sequential(*modules)

    def forward(self, x):
        return self.f(x)


def make(name, case):
    torch.manual_seed(5)
    random = np.random.default_rng(7)
    classes, several = case["classes"], name == "several_labels"
    images = random.integers(0, 256, (IMAGES, case["channels"], case["size"], case["size"]), np.uint8)
    # Kinds of images that can be told apart, so that the training moves the weights.
    kind = np.arange(IMAGES) % classes
    images = np.clip(images * 0.5 + (kind * 128 / classes)[:, None, None, None], 0, 255).astype(np.uint8)
    labels = np.stack([(kind == k) | (kind == (k + 1) % classes) for k in range(classes)], 1) if several else kind
    shape = (1, -1, 1, 1)
    mean, std = (torch.tensor(case[key], dtype=torch.float64).reshape(shape) for key in ("mean", "std"))
    x = (torch.tensor(images).double() / 255 - mean) / std
    y = torch.tensor(labels).double() if several else torch.tensor(labels).long()
    loss = F.binary_cross_entropy_with_logits if several else F.cross_entropy
    model = Model(layers_of(case["model"], case["channels"], case["size"], classes)).double()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(case.get("steps", 20)):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    save_file({key: value.float() if value.is_floating_point() else value for key, value in model.state_dict().items()},
              FOLDER / f"{name}.safetensors")
    model.load_state_dict({key: value.float() if value.is_floating_point() else value
                           for key, value in model.state_dict().items()})  # as a reader of the file has them
    model.eval()
    with torch.no_grad():
        logits = model(x)
        probabilities = torch.sigmoid(logits) if several else torch.softmax(logits, 1)
        (FOLDER / f"{name}.loss").write_text(f"{loss(logits, y).item():.10f}\n")
    lines = [",".join(["id"] + [f"p_{k}" for k in range(classes)])]
    lines += [f"i{i}," + ",".join(f"{p:.9f}" for p in row) for i, row in enumerate(probabilities.tolist())]
    (FOLDER / f"{name}.csv").write_text("\n".join(lines) + "\n")
    with h5py.File(FOLDER / f"{name}.h5", "w", track_order=False, libver="latest") as file:
        file.create_dataset("images", data=images, track_times=False)
        file.create_dataset("labels", data=labels.astype(np.uint8 if several else np.int32), track_times=False)
        file.create_dataset("ids", data=np.array([f"i{i}" for i in range(IMAGES)], "S4"), track_times=False)
        file.create_dataset("split", data=np.full(IMAGES, 2, np.uint8), track_times=False)
        file.attrs["class_names"] = np.array([f"c{k}" for k in range(classes)], "S4")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, case in CASES.items():
        make(name, case)
