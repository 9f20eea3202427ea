#!/usr/bin/env python3
"""What steps and convolutions would take on GPUs that are not here: results/gpu_counts/predicted.md.

    scripts/results_gpu_predicted.py build/cpu OUT [--jobs 2] [--only steps|convolutions]

Runs `xbench step --predict` for the five models, and `xbench kernels --predict --images 64,256` for the convolutions of ResNet-50 in their
three passes, on the emulated GPU of the build, in fp32, tf32 and bf16, for an A100 and an H200, and writes OUT/predicted.md. About ten
minutes on 2 cores. With --only the other table is kept as it is.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess

CHIPS = [("a100", "80", "A100 SXM4 80GB"), ("h200", "90", "H200 SXM")]
MODELS = [("pneumonia_cnn", 16), ("fracture_cnn", 16), ("rsna_cnn", 8), ("cifar_cnn", 16), ("nih_cnn", 2)]
PRODUCTS = ["fp32", "tf32", "bf16"]
IMAGES = [64, 256]
# Layers of ResNet-50 (v1.5) of the same shape stand in the list once; how many there are of each.
TIMES = {"layer1.0.conv3": 4, "layer1.0.conv2": 3, "layer1.1.conv1": 2, "layer2.0.conv3": 4, "layer2.1.conv1": 3, "layer2.1.conv2": 3,
         "layer3.0.conv3": 6, "layer3.1.conv1": 5, "layer3.1.conv2": 5, "layer4.0.conv3": 3, "layer4.1.conv1": 2, "layer4.1.conv2": 2}
PASSES = {"conv2d": "forward", "conv2d_dgrad": "gradient of x", "conv2d_wgrad": "gradient of w"}

HEAD = """# Predicted, not measured

What a training step of the five models, and the convolutions of ResNet-50, would take on two GPUs that are not here, and what would bind
it there: from the emulated GPU's counts and the chips' published rates (`bench/base/gpu_prediction.h` says how). Each kernel takes as
long as its busiest resource; the time between launches is not in it. Estimates of this kind err by tens of per cent; which resource
binds is the finding. All of it is made by `scripts/results_gpu_predicted.py build/cpu results/gpu_counts`.

"""
STEPS = """## Steps of the five models, predicted, not measured

| model | batch | precision | GPU | step ms, predicted, not measured | launches | share of the time bound by |
| --- | ---: | --- | --- | ---: | ---: | --- |
"""
STEPS_END = "\nAt these batches nearly everything is bound by latency: a grid has too few warps for so many multiprocessors.\n\n"
CONVOLUTIONS = """## The convolutions of ResNet-50, predicted, not measured

All 53 convolutions of ResNet-50 (v1.5, 224x224), each in three passes. A layer is counted with one image and with two, and what the second
adds is taken to be the same for every further one (`bench/kernels/layer_prediction.h`): that is right for images and their rims, and leaves
filters once. One leaf; more leaves mean more partial sums of filter gradients. The first layer's gradient of x is in the sum, though a
training does not need it.

| batch | products | GPU | pass | ms, predicted, not measured | TFLOP/s | share of the time bound by |
| ---: | --- | --- | --- | ---: | ---: | --- |
"""
LAYERS = """
By layer, at batch 256 in bf16 on an H200, predicted, not measured:

| layer | times | forward us | bound by | gradient of x us | bound by | gradient of w us | bound by | row |
| --- | ---: | ---: | --- | ---: | --- | ---: | --- | --- |
"""
FORWARD_FLOPS = 2 * 4.089e9  # of an image, convolutions alone


def run(build, capability, *words):
    environment = dict(os.environ, LD_LIBRARY_PATH=str(build / "gpu_emulator"), XBENCH_EMULATED_SM=capability)
    done = subprocess.run([str(build / "xbench"), *words], env=environment, check=True, capture_output=True, text=True)
    return done.stdout


def shares(parts):
    """{bound: time} -> "latency 99%, memory 1%"."""
    whole = sum(parts.values())
    return ", ".join(f"{name} {100 * time / whole:.0f}%" for name, time in sorted(parts.items(), key=lambda p: -p[1])
                     if time > 0.005 * whole)


def step_row(build, job):
    (model, batch), precision, (chip, capability, name) = job
    text = run(build, capability, "step", "--model", model, "--batch", str(batch), "--precision", precision, "--device", "cuda",
               "--predict", chip, "--json")
    kernels = json.loads(text.splitlines()[-1])["predicted_not_measured"]
    bounds = collections.Counter()
    for kernel in kernels:
        bounds[kernel["bound"]] += kernel["us"]
    return (f"| {model} | {batch} | {precision} | {name} | {sum(bounds.values()) / 1e3:.3f} | {sum(k['launches'] for k in kernels):.0f} | "
            f"{shares(bounds)} |\n")


def layer_rows(build, job):
    """(pass, layer, images) -> (microseconds, bound, row)."""
    products, (chip, capability, _) = job
    text = run(build, capability, "kernels", "--device", "cuda", "--predict", chip, "--filter", r"^resnet50\.", "--images",
               ",".join(map(str, IMAGES)), "--products", products)
    rows = {}
    for match in re.finditer(r"^\| (\w+)/resnet50\.(\S+) x (\d+) *\| (\S*) *\| *([\d.]+) *\| (\w+)", text, re.MULTILINE):
        rows[match[1], match[2], int(match[3])] = (float(match[5]), match[6], match[4])
    return rows


def convolution_rows(products, chip, rows):
    text = ""
    for images in IMAGES:
        for operation, title in PASSES.items():
            bounds = collections.Counter()
            for (which, layer, count), (us, bound, _) in rows.items():
                if which == operation and count == images:
                    bounds[bound] += us * TIMES.get(layer, 1)
            ms = sum(bounds.values()) / 1e3
            text += (f"| {images} | {products} | {chip[2]} | {title} | {ms:.2f} | {FORWARD_FLOPS * images / ms * 1e-9:.1f} | "
                     f"{shares(bounds)} |\n")
    return text


def layer_table(rows):
    text = ""
    for layer in dict.fromkeys(layer for _, layer, _ in rows):
        cells = [rows[operation, layer, 256] for operation in PASSES]
        text += (f"| {layer} | {TIMES.get(layer, 1)} | " + " | ".join(f"{us:.1f} | {bound}" for us, bound, _ in cells) +
                 f" | {cells[0][2]} |\n")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=["steps", "convolutions"])
    arguments = parser.parse_args()
    build, file = arguments.build.resolve(), arguments.out / "predicted.md"
    kept = file.read_text() if arguments.only else ""
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        if arguments.only == "convolutions":
            steps = kept[kept.index("## Steps"):kept.index("## The convolutions")]
        else:
            jobs = [(model, precision, chip) for model in MODELS for precision in ("fp32", "bf16") for chip in CHIPS]
            steps = STEPS + "".join(pool.map(lambda job: step_row(build, job), jobs)) + STEPS_END
        if arguments.only == "steps":
            layers = kept[kept.index("## The convolutions"):]
        else:
            jobs = [(products, chip) for products in PRODUCTS for chip in CHIPS]
            found = dict(zip(jobs, pool.map(lambda job: layer_rows(build, job), jobs)))
            assert all(sum(TIMES.get(layer, 1) for which, layer, count in rows if which == "conv2d" and count == 64) == 53
                       for rows in found.values()), "not 53 convolutions"
            layers = CONVOLUTIONS + "".join(convolution_rows(products, chip, found[products, chip]) for products, chip in jobs)
            layers += LAYERS + layer_table(found["bf16", CHIPS[1]])
    file.write_text(HEAD + steps + layers)


main()
