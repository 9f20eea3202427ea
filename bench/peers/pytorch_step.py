#!/usr/bin/env python3
"""The peer of `xbench step --device cuda`: a training step of the five models in the PyTorch that is installed here, on a GPU: eager, and
compiled with CUDA graphs (mode reduce-overhead). The models are those that the golden tests are made with. One line of JSON a model.

    pytorch_step.py [MODEL ...] [--batch N] [--precision fp32|bf16] [--seconds 2] [--device cuda]

Exit code 77: no PyTorch, or no GPU that it can use (the reason is printed).
"""
import argparse
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/golden"))
# As models/registry.cpp has them: channels, size, classes, batch, several labels an image.
MODELS = {"pneumonia_cnn": (1, 64, 2, 8, False), "fracture_cnn": (1, 48, 2, 32, False), "rsna_cnn": (1, 128, 2, 32, False),
          "cifar_cnn": (3, 32, 10, 64, False), "nih_cnn": (3, 224, 14, 16, True)}


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def milliseconds(torch, step, seconds, device):
    """The median of steps; each ends before the next begins, as a training asks for the loss."""
    for _ in range(5):
        step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def measure(torch, name, arguments):
    from make_golden import Model
    channels, size, classes, batch, several = MODELS[name]
    batch = arguments.batch or batch
    torch.manual_seed(1)
    model = Model(name, channels, size, classes).to(arguments.device).train()
    images = torch.randn(batch, channels, size, size, device=arguments.device)
    labels = (torch.rand(batch, classes, device=arguments.device) < 0.3).float() if several else \
        torch.randint(classes, (batch,), device=arguments.device)
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits if several else torch.nn.functional.cross_entropy
    optimizer = torch.optim.Adam(model.parameters(), fused=arguments.device == "cuda")
    half = arguments.precision == "bf16"

    def step(forward):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(arguments.device, torch.bfloat16, enabled=half):
            loss = loss_of(forward(images), labels)
        loss.backward()
        optimizer.step()

    result = {"model": name, "batch": batch, "precision": arguments.precision, "torch": torch.__version__,
              "eager_ms": milliseconds(torch, lambda: step(model), arguments.seconds, arguments.device), "compiled_ms": None}
    try:
        compiled = torch.compile(model, mode="reduce-overhead")
        result["compiled_ms"] = milliseconds(torch, lambda: step(compiled), arguments.seconds, arguments.device)
    except Exception as error:  # no compiler for its kernels here: the eager figure stands
        result["compiled_why"] = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.models) - set(MODELS))
    if unknown:
        parser.error(f"no model {unknown[0]}; there are {', '.join(MODELS)}")
    try:
        import torch
        import make_golden  # noqa: F401, its NumPy
    except ImportError as error:
        skip(f"no PyTorch here ({error})")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        skip("PyTorch sees no GPU")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # fp32 is fp32
    torch.backends.cudnn.benchmark = True
    for name in arguments.models or MODELS:
        print(json.dumps(measure(torch, name, arguments)), flush=True)


main()
