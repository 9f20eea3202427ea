"""xbench's training, written a second time: the five small models in PyTorch, in double precision.

Nothing here reads xbench's code or output. Initial weights, the order of images and dropout masks are functions of Philox
(core/philox.h, core/rng.h), so both trainings see the same numbers and differ by rounding alone. Shapes: images {n,c,h,w},
labels {n}, or {n,k} where an image has several."""
import dataclasses
import math

import numpy as np
import torch
import torch.nn.functional as F

from make_golden import philox4x32

WEIGHTS, SHUFFLE = 0xFFFF0000, 0xFFFF0001  # RandomUse of core/rng.h
OWN_WIDTHS = {"pneumonia_cnn": [8, 16, 32], "fracture_cnn": [32, 64, 128], "rsna_cnn": [16, 32], "cifar_cnn": [32, 64],
              "nih_cnn": [32, 64, 128]}


def f32(value):
    """As xbench keeps it."""
    return float(np.float32(value))


def random_bits(seed, use, index, count):
    return philox4x32(seed, np.arange((count + 3) // 4, dtype=np.uint64), (use << 32) | index).reshape(-1)[:count]


def uniform01(bits):
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def epoch_order(indices, seed, epoch):
    """Fisher-Yates with Lemire's bounded numbers."""
    items = list(indices)
    numbers = iter(random_bits(seed, SHUFFLE, epoch, 4 * len(items) + 64).tolist())
    for i in range(len(items), 1, -1):
        product = next(numbers) * i
        if product & 0xFFFFFFFF < i:
            while product & 0xFFFFFFFF < (2**32 - i) % i:
                product = next(numbers) * i
        j = product >> 32
        items[i - 1], items[j] = items[j], items[i - 1]
    return items


@dataclasses.dataclass
class Layer:
    kind: str  # conv norm relu pool average flatten dropout linear
    name: str  # of its parameters
    node: int  # its number in xbench's graph, of which dropout's stream is made
    inputs: int = 0
    outputs: int = 0
    stride: int = 1
    pad: int = 0
    probability: float = 0
    whole_channels: bool = False
    first: bool = False  # it reads the images


class Builder:
    """The layers of a model, numbered like a torch.nn.Sequential."""

    def __init__(self, channels, size):
        self.layers, self.channels, self.size, self.features, self.number = [], channels, size, 0, 0

    def add(self, kind, **what):
        self.layers.append(Layer(kind, f"f.{self.number}", len(self.layers), **what))
        self.number += 1

    def conv(self, width, stride=1, pad=1):
        self.add("conv", inputs=self.channels, outputs=width, stride=stride, pad=pad, first=not self.layers)
        self.channels, self.size = width, (self.size + 2 * pad - 3) // stride + 1
        if self.size < 1:
            raise ValueError("nothing is left of the image")

    def norm(self):
        self.add("norm", outputs=self.channels)

    def pool(self):
        if self.size < 2:
            raise ValueError("nothing is left of the image")
        self.add("pool")
        self.size //= 2

    def flatten(self):
        self.add("flatten")
        self.features = self.channels * self.size**2

    def linear(self, width):
        self.add("linear", inputs=self.features, outputs=width)
        self.features = width


def layers_of(model, channels, size, classes):
    """model: the configuration's object."""
    b, name = Builder(channels, size), model["name"]
    widths = model.get("widths") or OWN_WIDTHS[name]

    def dropout(own, **what):
        given = model.get("dropout")
        b.add("dropout", probability=f32(own if given is None else given), **what)

    for i, width in enumerate(widths):
        if name in ("pneumonia_cnn", "nih_cnn"):
            b.conv(width, stride=2 if name == "nih_cnn" and i + 1 == len(widths) else 1)
            b.norm()
            b.add("relu")
            b.pool()
        elif name == "cifar_cnn":
            for _ in range(2):
                b.conv(width)
                b.add("relu")
                b.norm()
            b.pool()
            dropout(0.25)
        else:
            b.conv(width, pad=0 if name == "fracture_cnn" else 1)
            b.add("relu")
            b.pool()
    if name == "pneumonia_cnn":
        b.add("average")
        b.number, b.features = b.number + 1, b.channels  # PyTorch's Flatten is no node
    else:
        if name == "nih_cnn":
            b.pool()
        if name == "rsna_cnn":
            dropout(0.25, whole_channels=True)
        b.flatten()
        b.linear(512 if name == "nih_cnn" else 128)
        b.add("relu")
        if name in ("fracture_cnn", "cifar_cnn"):
            dropout(0.4 if name == "fracture_cnn" else 0.5)
    b.linear(classes)
    return b.layers


def initial_weights(layers, seed):
    """Name -> float32: uniform in +-1/sqrt(fan in), the stream numbered by the parameter's position."""
    weights, position = {}, 0
    for layer in layers:
        if layer.kind == "norm":
            for name, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
                weights[f"{layer.name}.{name}"] = np.full(layer.outputs, value, np.float32)
            position += 2
        elif layer.kind in ("conv", "linear"):
            shape = (layer.outputs, layer.inputs) + ((3, 3) if layer.kind == "conv" else ())
            bound = np.float32(1 / math.sqrt(math.prod(shape[1:])))
            for name, own in (("weight", shape), ("bias", shape[:1])):
                u = uniform01(random_bits(seed, WEIGHTS, position, math.prod(own)))
                weights[f"{layer.name}.{name}"] = (-bound + (bound + bound) * u).astype(np.float32).reshape(own)
                position += 1
    return weights


def rounded(x):
    return x.to(torch.float32).to(torch.bfloat16).to(x.dtype)


class RoundedConv(torch.autograd.Function):
    """Operands of the products in bf16; the gradient of the bias sums the rounded ones too, as under PyTorch's autocast."""

    @staticmethod
    def forward(context, x, weight, bias, stride, pad):
        context.save_for_backward(rounded(x), rounded(weight))
        context.how = stride, pad
        return F.conv2d(rounded(x), rounded(weight), bias, stride, pad)

    @staticmethod
    def backward(context, dy):
        x, weight = context.saved_tensors
        return (torch.nn.grad.conv2d_input(x.shape, weight, rounded(dy), *context.how),
                torch.nn.grad.conv2d_weight(x, weight.shape, rounded(dy), *context.how), rounded(dy).sum((0, 2, 3)), None, None)


class RoundedLinear(torch.autograd.Function):
    @staticmethod
    def forward(context, x, weight, bias):
        context.save_for_backward(rounded(x), rounded(weight))
        return F.linear(rounded(x), rounded(weight), bias)

    @staticmethod
    def backward(context, dy):
        x, weight = context.saved_tensors
        return rounded(dy) @ weight, rounded(dy).t() @ x, rounded(dy).sum(0)


class Net:
    """settings: the dictionary of training_cases.resolved()."""

    def __init__(self, layers, weights, settings, dtype):
        self.layers, self.settings, self.dtype = layers, settings, dtype
        self.tensors = {n: torch.tensor(w, dtype=dtype, requires_grad="running" not in n) for n, w in weights.items()}

    def parameters(self):
        return [t for n, t in self.tensors.items() if "running" not in n]

    def load(self, weights):
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(torch.tensor(weights[name]))

    def snapshot(self):
        return {n: t.detach().double().numpy().copy() for n, t in self.tensors.items()}

    def forward(self, x, batch=None):
        """batch: None at inference, else {ids, step, cuts}; cuts are where the leaves of local normalisation begin."""
        for layer in self.layers:
            kind = layer.kind
            if kind in ("conv", "linear"):
                x = self.product(layer, x)
            elif kind == "norm":
                x = self.norm(layer, x, batch)
            elif kind == "dropout":
                x = x if batch is None or layer.probability == 0 else x * self.mask(layer, x.shape, batch)
            else:
                x = {"relu": F.relu, "pool": lambda t: F.max_pool2d(t, 2), "average": lambda t: t.mean((2, 3)),
                     "flatten": lambda t: t.flatten(1)}[kind](x)
        return x

    def product(self, layer, x):
        weight, bias = self.tensors[f"{layer.name}.weight"], self.tensors[f"{layer.name}.bias"]
        bf16 = self.settings["precision"] == "bf16" and not (layer.first and layer.inputs <= 4)
        if layer.kind == "linear":
            return (RoundedLinear.apply if bf16 else F.linear)(x, weight, bias)
        return (RoundedConv.apply if bf16 else F.conv2d)(x, weight, bias, layer.stride, layer.pad)

    def mask(self, layer, shape, batch):
        units = shape[1] if layer.whole_channels else math.prod(shape[1:])
        kept = np.empty((shape[0], units), bool)
        for i, image in enumerate(batch["ids"]):
            key = self.settings["seed"] ^ (int(image) * 0x9E3779B97F4A7C15 % 2**64)
            words = philox4x32(key, np.arange((units + 3) // 4, dtype=np.uint64), (layer.node << 32) | batch["step"])
            kept[i] = uniform01(words.reshape(-1)[:units]) >= np.float32(layer.probability)
        mask = torch.tensor(kept, dtype=self.dtype) / (1 - layer.probability)
        return mask.reshape(shape[0], units, 1, 1) if layer.whole_channels else mask.reshape(shape)

    def norm(self, layer, x, batch):
        s, part = self.settings, lambda name: self.tensors[f"{layer.name}.{name}"]
        mean, var, shape = part("running_mean"), part("running_var"), (1, -1, 1, 1)
        normal = lambda t, m, v: ((t - m.reshape(shape)) / torch.sqrt(v.reshape(shape) + s["bn_eps"]) *
                                  part("weight").reshape(shape) + part("bias").reshape(shape))
        if batch is None:
            return normal(x, mean, var)
        cuts = batch["cuts"] if s["batchnorm"] == "local" else [0, len(x)]
        outputs, means, variances = [], [], []
        for begin, end in zip(cuts[:-1], cuts[1:]):
            if begin == end:
                continue
            leaf = x[begin:end]
            count, m, v = leaf.numel() // leaf.shape[1], leaf.mean((0, 2, 3)), leaf.var((0, 2, 3), unbiased=False)
            outputs.append(normal(leaf, m, v))
            means.append(m.detach())
            variances.append(v.detach() * count / max(1, count - 1))
        with torch.no_grad():  # the mean of what each leaf would have made of the running statistics
            for running, new in ((mean, means), (var, variances)):
                running.mul_(1 - s["bn_momentum"]).add_(s["bn_momentum"] * torch.stack(new).mean(0))
        return torch.cat(outputs)

    def losses(self, logits, labels):
        """One an image."""
        if not self.settings["multilabel"]:
            return F.cross_entropy(logits, labels, reduction="none")
        weights = self.settings["pos_weight"]
        weights = torch.tensor(weights if len(weights) != 1 else weights * logits.shape[1], dtype=self.dtype) if weights else None
        return F.binary_cross_entropy_with_logits(logits, labels.to(self.dtype), pos_weight=weights, reduction="none").mean(1)


def learning_rate(s, step):
    factor = s["batch_size"] / s["base_batch"] if s["lr_scaling"] != "none" else 1
    full = s["learning_rate"] * (math.sqrt(factor) if s["lr_scaling"] == "sqrt" else factor)
    return full if step + 1 >= s["warmup_steps"] else full * (step + 1) / s["warmup_steps"]


def make_optimizer(net, s):
    common = {"lr": 1.0, "weight_decay": f32(s["weight_decay"])}
    if s["optimizer"] == "sgd":
        return torch.optim.SGD(net.parameters(), momentum=f32(s["momentum"]), **common)
    kind = torch.optim.AdamW if s["optimizer"] == "adamw" else torch.optim.Adam
    return kind(net.parameters(), betas=(f32(s["beta1"]), f32(s["beta2"])), eps=f32(s["adam_epsilon"]), foreach=False, **common)


def normalised(images, s, dtype):
    full = 255 if images.dtype == np.uint8 else 65535
    shape = (1, -1, 1, 1)
    x = (images / full - np.asarray(s["mean"]).reshape(shape)) / np.asarray(s["std"]).reshape(shape)
    return torch.tensor(x).to(dtype)


def accuracies(p, labels, multilabel):
    """Accuracy and balanced accuracy."""
    if not multilabel:
        said = p.argmax(1)
        return (said == labels).mean(), np.mean([(said[labels == k] == k).mean() for k in np.unique(labels)])
    said, truth = p >= 0.5, labels != 0
    both = [k for k in range(p.shape[1]) if truth[:, k].any() and not truth[:, k].all()]
    balanced = [(said[truth[:, k], k].mean() + (~said[~truth[:, k], k]).mean()) / 2 for k in both]
    return (said == truth).all(1).mean(), np.mean(balanced) if both else 0.0


def evaluate(net, x, labels):
    """Loss, probabilities, accuracy, balanced accuracy."""
    with torch.no_grad():
        logits = net.forward(x)
        loss = net.losses(logits, torch.tensor(labels)).mean().item()
    multilabel = net.settings["multilabel"]
    p = (torch.sigmoid(logits) if multilabel else torch.softmax(logits, 1)).numpy()
    return {"loss": loss, "p": p, **dict(zip(("accuracy", "balanced_accuracy"), accuracies(p, labels, multilabel)))}


def train(model, data, s, dtype):
    """data: {images, labels, split}. Returns history, best epoch, its weights and test scores, first and last weights."""
    torch.set_num_threads(1)
    layers = layers_of(model, data["images"].shape[1], data["images"].shape[2], s["classes"])
    weights = initial_weights(layers, s["seed"])
    net = Net(layers, weights, s, dtype)
    optimizer = make_optimizer(net, s)
    rows = [np.flatnonzero(data["split"] == part) for part in range(3)]
    x, labels = normalised(data["images"], s, dtype), data["labels"].astype(np.int64)
    step, history, best = 0, [], None
    for epoch in range(1, s["epochs"] + 1):
        order, total = epoch_order(rows[0].tolist(), s["seed"], epoch), 0.0
        for begin in range(0, len(order), s["batch_size"]):
            ids = order[begin:begin + s["batch_size"]]
            cuts = [leaf * len(ids) // s["leaves"] for leaf in range(s["leaves"] + 1)]
            losses = net.losses(net.forward(x[ids], {"ids": ids, "step": step, "cuts": cuts}), torch.tensor(labels[ids]))
            for group in optimizer.param_groups:
                group["lr"] = f32(learning_rate(s, step))
            optimizer.zero_grad()
            losses.mean().backward()
            optimizer.step()
            total, step = total + losses.sum().item(), step + 1
        val = evaluate(net, x[rows[1]], labels[rows[1]])
        history.append({"train_loss": total / len(order), "learning_rate": learning_rate(s, step - 1),
                        **{f"val_{key}": val[key] for key in ("loss", "accuracy", "balanced_accuracy")}})
        score = (-val["loss"] if s["monitor"] == "val_loss" else val[s["monitor"][4:]], -val["loss"])
        if best is None or score > best[0]:
            best = (score, epoch, net.snapshot())
        if s["patience"] and epoch - best[1] >= s["patience"]:
            break
    last = net.snapshot()
    net.load(best[2])
    # In front of a normalisation a bias moves nothing: its gradient is zero by mathematics, rounding in practice.
    no_gradient = [f"{a.name}.bias" for a, b in zip(layers[:-1], layers[1:]) if (a.kind, b.kind) == ("conv", "norm")]
    return {"no_gradient": no_gradient, "history": history, "best_epoch": best[1], "best": best[2], "last": last, "first": weights, "steps": step,
            "test": evaluate(net, x[rows[2]], labels[rows[2]]), "all": evaluate(net, x, labels)["p"]}
