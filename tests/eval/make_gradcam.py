#!/usr/bin/env python3
"""Makes tests/eval/gradcam.json and tests/eval/pytorch/one_logit.*: Grad-CAM by hooks in PyTorch, in double precision.

    python3 make_gradcam.py

Run by hand, never by the tests; needs torch, numpy, h5py and safetensors. Models and images are make_pytorch.py's; one_logit is
made here (fracture_cnn with a single output). A forward hook keeps the layer's values and their gradient; each map is
relu(sum over k of mean(dz_c/dA_k) A_k) before it is enlarged, and "enlarged" is torch's interpolate(bilinear,
align_corners=False) of it to the image, divided by its maximum."""
import json
import pathlib
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "golden"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from make_pytorch import CASES, FOLDER, IMAGES, Model  # noqa: E402
from reference import layers_of  # noqa: E402

ONE_LOGIT = {"model": {"name": "fracture_cnn", "widths": [3, 4, 5]}, "channels": 1, "size": 32, "classes": 1, "mean": [0.5],
             "std": [0.5]}
# case -> layers (None: the last convolution)
LAYERS = {"one_label": [None, "f.0", "f.6"], "several_labels": [None, "f.7"], "with_dropout": [None, "f.2"],
          "one_logit": [None]}


def make_one_logit():
    torch.manual_seed(3)
    random = np.random.default_rng(11)
    kind = np.arange(IMAGES) % 2
    images = np.clip(random.integers(0, 160, (IMAGES, 1, 32, 32)) + 80 * kind[:, None, None, None], 0, 255).astype(np.uint8)
    model = Model(layers_of(ONE_LOGIT["model"], 1, 32, 1)).double()
    x, y = (torch.tensor(images).double() / 255 - 0.5) / 0.5, torch.tensor(kind[:, None]).double()
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    for _ in range(10):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(x), y).backward()
        optimizer.step()
    save_file({key: value.float() for key, value in model.state_dict().items()}, FOLDER / "one_logit.safetensors")
    with h5py.File(FOLDER / "one_logit.h5", "w", track_order=False, libver="latest") as file:
        file.create_dataset("images", data=images, track_times=False)
        file.create_dataset("labels", data=kind[:, None].astype(np.uint8), track_times=False)
        file.create_dataset("ids", data=np.array([f"i{i}" for i in range(IMAGES)], "S4"), track_times=False)
        file.create_dataset("split", data=np.full(IMAGES, 2, np.uint8), track_times=False)
        file.attrs["class_names"] = np.array(["c0"], "S4")


def grad_cam(model, layer, image, of_class):
    kept = {}

    def keep(_module, _input, output):
        kept["values"] = output
        output.register_hook(lambda gradient: kept.__setitem__("gradient", gradient))

    hook = layer.register_forward_hook(keep)
    logits = model(image)
    model.zero_grad()
    logits[0, of_class].backward()
    hook.remove()
    values, gradient = kept["values"][0].detach(), kept["gradient"][0]
    weights = gradient.mean(dim=(1, 2))
    return torch.relu((weights[:, None, None] * values).sum(0)), logits[0, of_class].item()


def expected(name, case):
    layers = layers_of(case["model"], case["channels"], case["size"], case["classes"])
    model = Model(layers)
    model.load_state_dict(load_file(FOLDER / f"{name}.safetensors"))
    model = model.double().eval()
    shape = (1, -1, 1, 1)
    mean, std = (torch.tensor(case[key], dtype=torch.float64).reshape(shape) for key in ("mean", "std"))
    with h5py.File(FOLDER / f"{name}.h5") as file:
        x = (torch.tensor(file["images"][:]).double() / 255 - mean) / std
    modules = dict(model.named_modules())
    last = [key for key, module in modules.items() if isinstance(module, torch.nn.Conv2d)][-1]
    maps = []
    for layer in LAYERS[name]:
        for image in range(3) if layer is None else range(1):
            for of_class in range(case["classes"]):
                raw, logit = grad_cam(model, modules[layer or last], x[image:image + 1], of_class)
                one = {"layer": layer or "", "image": image, "class": of_class, "logit": logit, "rows": raw.shape[0],
                       "columns": raw.shape[1], "map": [float(f"{v:.8g}") for v in raw.flatten().tolist()]}
                if layer is None and image == 0:
                    large = F.interpolate(raw[None, None], size=(case["size"], case["size"]), mode="bilinear",
                                          align_corners=False)[0, 0]
                    most = large.max().item()
                    one["enlarged"] = [float(f"{v:.6g}") for v in (large / most if most > 0 else large).flatten().tolist()]
                maps.append(one)
    return {**case, "maps": maps}


if __name__ == "__main__":
    make_one_logit()
    cases = {name: expected(name, case) for name, case in {**CASES, "one_logit": ONE_LOGIT}.items()}
    text = "{\n" + ",\n".join(
        f'"{name}": {{"model": {json.dumps(case["model"])}, "channels": {case["channels"]}, "size": {case["size"]}, '
        f'"classes": {case["classes"]}, "mean": {case["mean"]}, "std": {case["std"]}, "multilabel": '
        f'{json.dumps(name in ("several_labels", "one_logit"))}, "maps": [\n'
        + ",\n".join(json.dumps(one) for one in case["maps"]) + "]}" for name, case in cases.items()) + "\n}\n"
    (pathlib.Path(__file__).parent / "gradcam.json").write_text(text)
