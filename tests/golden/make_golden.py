#!/usr/bin/env python3
"""Makes the golden files of this folder: what PyTorch computes in double precision for the five small models.

    python3 make_golden.py [model ...]

Run by hand, never by the tests; needs torch, numpy and safetensors. README.md describes the files. Weights, images and
labels come from Philox (core/philox.h), so that a file holds results only. Several seeds are tried, and the one is kept
whose ReLU inputs and max-pool windows are farthest from a tie, measured in units of what fp32 rounding moves them."""
import json
import math
import pathlib
import sys
import warnings

import numpy as np
import torch
from safetensors.numpy import save_file

USE_TEST_DATA = 0xFFFF0006  # RandomUse::test_data of core/rng.h
STREAM_IMAGES, STREAM_LABELS = 0x10000, 0x10001  # tensors of weights use their position in canonical order
STEPS, LEARNING_RATE, EPSILON = 3, 1e-3, 1e-3
WHOLE, SAMPLED = 4096, 1024  # tensors of more than WHOLE elements are stored as SAMPLED of them


def philox4x32(key, counters, stream):
    """{len(counters), 4} words, as core/philox.h."""
    c = np.stack([counters & 0xFFFFFFFF, counters >> np.uint64(32), np.full_like(counters, stream & 0xFFFFFFFF),
                  np.full_like(counters, stream >> 32)])
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = np.stack([(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & low,
                      (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & low])
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c.T.astype(np.uint32)


def random_bits(seed, index, count):
    """The first `count` numbers of Random(seed, RandomUse::test_data, index).bits()."""
    blocks = philox4x32(seed, np.arange((count + 3) // 4, dtype=np.uint64), (USE_TEST_DATA << 32) | index)
    return blocks.reshape(-1)[:count]


def generated(seed, index, shape, offset, scale):
    """offset + (uniform - 0.5) * scale in fp32, each operation rounded once."""
    u = (random_bits(seed, index, math.prod(shape)) >> 8).astype(np.float32) * np.float32(2.0**-24)
    return (np.float32(offset) + (u - np.float32(0.5)) * np.float32(scale)).reshape(shape)


def self_test():
    # Known answers of the Random123 distribution.
    zero = philox4x32(0, np.zeros(1, np.uint64), 0)[0]
    assert [hex(x) for x in zero] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"], zero
    ones = philox4x32(2**64 - 1, np.full(1, 2**64 - 1, np.uint64), 2**64 - 1)[0]
    assert [hex(x) for x in ones] == ["0x408f276d", "0x41c83b0e", "0xa20bc7c6", "0x6d5451fd"], ones


class Case:
    """One model with its data, in one precision."""

    def __init__(self, spec, seed, dtype):
        self.spec, self.seed = spec, seed
        self.model = Model(spec["config"]["name"], spec["channels"], spec["size"], spec["classes"]).to(dtype).train()
        for module in self.model.modules():
            if isinstance(module, (torch.nn.Dropout, torch.nn.Dropout2d)):
                module.p = 0.0
        self.recipes = {}
        self.state = {n: t for n, t in self.model.state_dict().items() if not n.endswith("num_batches_tracked")}
        for index, (name, tensor) in enumerate(self.state.items()):
            offset, scale = self.recipe(name, tensor)
            self.recipes[name] = {"index": index, "shape": list(tensor.shape), "offset": offset, "scale": scale}
            tensor.copy_(torch.from_numpy(generated(seed, index, tuple(tensor.shape), offset, scale)))
        n, k = spec["batch"], spec["classes"]
        shape = (n, spec["channels"], spec["size"], spec["size"])
        self.images = torch.from_numpy(generated(seed, STREAM_IMAGES, shape, 0, 2)).to(dtype)
        if spec.get("multilabel"):
            self.labels = torch.from_numpy((random_bits(seed, STREAM_LABELS, n * k) % 3 == 0).reshape(n, k)).to(dtype)
            self.pos_weight = torch.arange(k, dtype=dtype) / 4 + 0.5
        else:
            self.labels = torch.from_numpy((random_bits(seed, STREAM_LABELS, n) % k).astype(np.int64))
        self.watch()

    def recipe(self, name, tensor):
        """Offset and scale. Where the offset is not 0 the scale is a power of two, so that no fused multiply-add differs."""
        norm = f"{name.rsplit('.', 1)[0]}.running_mean" in self.state
        if norm:
            return (1.0, 0.5) if name.endswith(("weight", "running_var")) else (0.0, 0.5)
        fan_in = math.prod(tensor.shape[1:]) if tensor.dim() > 1 else None
        if fan_in is None:
            return 0.0, 0.25
        return 0.0, float(np.float32(2 * math.sqrt(6 / fan_in)))  # He's uniform

    def watch(self):
        """Records ReLU inputs and max-pool windows of every forward pass, and gradients behind convolutions."""
        self.relu_inputs, self.pool_inputs, self.conv_dy = [], [], {}
        modules = list(self.model.f.named_children())
        self.before_norm = [f"f.{n}" for (n, a), (_, b) in zip(modules, modules[1:])
                            if isinstance(a, torch.nn.Conv2d) and isinstance(b, torch.nn.BatchNorm2d)]
        for name, module in modules:
            if isinstance(module, torch.nn.ReLU):
                module.register_forward_pre_hook(lambda _, x: self.relu_inputs.append(x[0].detach().clone()))
            if isinstance(module, torch.nn.MaxPool2d):
                module.register_forward_pre_hook(lambda _, x: self.pool_inputs.append(x[0].detach().clone()))
            if f"f.{name}" in self.before_norm:
                module.register_full_backward_hook(lambda _, __, dy, key=f"f.{name}": self.keep_sum(key, dy[0]))

    def keep_sum(self, key, dy):
        self.conv_dy.setdefault(key, dy.abs().sum((0, 2, 3)))  # of the first step

    def loss(self, logits):
        if self.spec.get("multilabel"):
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, self.labels, pos_weight=self.pos_weight)
        return torch.nn.functional.cross_entropy(logits, self.labels)

    def train(self):
        optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, eps=EPSILON)
        self.losses, self.gradients = [], None
        for _ in range(STEPS):
            optimizer.zero_grad()
            logits = self.model(self.images)
            loss = self.loss(logits)
            loss.backward()
            self.losses.append(loss.item())
            if self.gradients is None:
                self.logits = logits.detach().clone()
                self.gradients = {n: p.grad.detach().clone() for n, p in self.model.named_parameters()}
            optimizer.step()
        return self


def pool_gaps(x):
    """Largest minus second largest number of each 2x2 window. Exact ties are left out: they are windows in which ReLU made
    every candidate the same constant, and the gradient is zero behind it whichever is taken."""
    h, w = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    windows = torch.nn.functional.unfold(x[:, :, :h, :w].reshape(-1, 1, h, w), 2, stride=2).transpose(1, 2).reshape(-1, 4)
    top = windows.max(1, keepdim=True).values
    second = torch.where(windows == top, -math.inf, windows).max(1).values
    return (top[:, 0] - second)[torch.isfinite(second)]


def gap(exact, rounded):
    """How far from a tie, in units of the largest fp32 error at the same place; the smallest over all layers and steps."""
    smallest = math.inf
    for a, b in zip(exact.relu_inputs, rounded.relu_inputs):
        smallest = min(smallest, (a.abs().min() / (a - b).abs().max()).item())
    for a, b in zip(exact.pool_inputs, rounded.pool_inputs):
        # Two numbers move, by at most the largest error each.
        smallest = min(smallest, (pool_gaps(a).min() / (2 * (a - b).abs().max()).clamp_min(1e-300)).item())
    return smallest


def fp32_error(exact, rounded):
    """The largest error of PyTorch's own fp32 run, relative to each tensor's largest magnitude."""
    zero = {f"{n}.bias" for n in exact.before_norm}
    pairs = [(exact.logits, rounded.logits)] + [(exact.gradients[n], rounded.gradients[n]) for n in exact.gradients if n not in zero]
    pairs += [(exact.state[n], rounded.state[n]) for n in exact.state if n not in zero]
    return max(((a - b).abs().max() / a.abs().max()).item() for a, b in pairs)


def best_case(spec, tries):
    best = None
    for seed in range(1, tries + 1):
        exact = Case(spec, seed, torch.float64).train()
        rounded = Case(spec, seed, torch.float32).train()
        ratio = gap(exact, rounded)
        if best is None or ratio > best[0]:
            best = (ratio, exact, fp32_error(exact, rounded))
    return best


def write(spec, ratio, case, error, folder):
    tensors, digests = {}, {}

    def store(name, tensor):
        flat = tensor.detach().double().reshape(-1)
        sampled = flat.numel() > WHOLE
        digests[name] = {"elements": flat.numel(), "sampled": sampled, "max": flat.abs().max().item(), "sum": flat.sum().item(),
                         "sum_abs": flat.abs().sum().item()}
        if sampled:  # element floor(j * elements / SAMPLED) for j = 0 .. SAMPLED-1
            flat = flat[torch.arange(SAMPLED) * flat.numel() // SAMPLED]
            tensors[name] = flat.float().numpy()
        else:
            tensors[name] = tensor.detach().float().contiguous().numpy()

    store("logits", case.logits)
    store("labels", case.labels)
    if spec.get("multilabel"):
        store("pos_weight", case.pos_weight)
    for name, gradient in case.gradients.items():
        store(f"grad/{name}", gradient)
    for name in case.state:
        store(f"after/{name}", case.model.state_dict()[name])
    for name, sums in case.conv_dy.items():
        store(f"sum_abs_dy/{name}.bias", sums)
    tensors["generated"] = np.concatenate([generated(case.seed, 0, (8,), 0, 1), generated(case.seed, STREAM_IMAGES, (8,), 0, 1)])
    about = {"model": spec["config"] | {"channels": spec["channels"], "size": spec["size"], "classes": spec["classes"]},
             "batch": spec["batch"], "seed": case.seed, "steps": STEPS, "learning_rate": LEARNING_RATE, "adam_epsilon": EPSILON,
             "stream_images": STREAM_IMAGES, "images": {"offset": 0.0, "scale": 2.0}, "weights": case.recipes,
             "losses": case.losses, "zero_gradient": [f"{n}.bias" for n in case.before_norm],
             "gap_in_fp32_errors": ratio, "pytorch_fp32_error": error, "digests": digests, "torch": torch.__version__}
    path = folder / f"{spec['config']['name']}.safetensors"
    save_file(tensors, str(path), metadata={"xbench.golden": json.dumps(about)})
    print(f"{path.name}: {path.stat().st_size} bytes, seed {case.seed}, loss {case.losses}, gap {ratio:.1f} fp32 errors, PyTorch fp32 {error:.1e}")


class Model(torch.nn.Module):
    """The layers of reference.py as PyTorch's own modules."""

    def __init__(self, name, channels, size, classes):
        from reference import layers_of  # which takes this file's Philox
        super().__init__()
        modules = []
        for layer in layers_of({"name": name}, channels, size, classes):
            modules += self.modules_of(layer)
        self.f = torch.nn.Sequential(*modules)

    @staticmethod
    def modules_of(layer):
        nn = torch.nn
        return {"conv": lambda: [nn.Conv2d(layer.inputs, layer.outputs, 3, layer.stride, layer.pad)],
                "norm": lambda: [nn.BatchNorm2d(layer.outputs)], "relu": lambda: [nn.ReLU()], "pool": lambda: [nn.MaxPool2d(2)],
                "average": lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten()], "flatten": lambda: [nn.Flatten()],
                "dropout": lambda: [(nn.Dropout2d if layer.whole_channels else nn.Dropout)(layer.probability)],
                "linear": lambda: [nn.Linear(layer.inputs, layer.outputs)]}[layer.kind]()

    def forward(self, x):
        return self.f(x)


SPECS = [
    {"config": {"name": "pneumonia_cnn"}, "channels": 1, "size": 64, "classes": 2, "batch": 4},
    {"config": {"name": "fracture_cnn"}, "channels": 1, "size": 48, "classes": 2, "batch": 4},
    {"config": {"name": "rsna_cnn"}, "channels": 1, "size": 32, "classes": 2, "batch": 5},
    {"config": {"name": "cifar_cnn"}, "channels": 3, "size": 32, "classes": 10, "batch": 4},
    {"config": {"name": "nih_cnn"}, "channels": 3, "size": 32, "classes": 14, "batch": 4,
     "multilabel": True},
]


def main():
    self_test()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Full backward hook is firing")  # images need no gradient
    wanted = sys.argv[1:]
    for spec in SPECS:
        if not wanted or spec["config"]["name"] in wanted:
            ratio, case, error = best_case(spec, tries=200)
            write(spec, ratio, case, error, pathlib.Path(__file__).parent)


if __name__ == "__main__":
    main()
