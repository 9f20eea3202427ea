#!/usr/bin/env python3
"""What the GPU's kernels move, counted on the emulated GPU: the tables of results/gpu_counts.

    scripts/results_gpu_counts.py build/cpu OUT

Runs the tests GpuStepCounts of test_plan, which count each kernel of a training step of the five models in fp32 and bf16 and
hold it against its bounds, and writes OUT/kernels.csv, a line a kernel, OUT/kernels.md, its ranges for each operator and
kernel, and OUT/steps.md, a line a step. Some minutes.
"""
import csv, os, pathlib, subprocess, sys, tempfile

HEAD = ["model", "products", "batch", "layer", "operator", "kernel", "problem", "sectors of operands", "different / operands",
        "accessed / operands", "accessed / side by side", "wavefronts / ideal", "tensor FLOPs / problem's", "local accesses",
        "why not within 1.15 and 1.1"]


def count(build, folder):
    environment = dict(os.environ, XBENCH_COUNTS_FOLDER=str(folder), LD_LIBRARY_PATH=str(build / "gpu_emulator"))
    subprocess.run([str(build / "tests/test_plan"), "--gtest_filter=*GpuStepCounts*"], env=environment, check=True)


def read(files):
    return [row for file in files for row in csv.reader(file.open())]


def write_steps(rows, file):
    file.write("| model | products | batch | tensors once, MB | operands of steps, MB | moved, MB | moved / operands | "
               "moved / tensors | accessed, MB |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
    for model, products, batch, once, operands, different, accessed in rows:
        once, operands, different, accessed = (float(number) / 1e6 for number in (once, operands, different, accessed))
        file.write(f"| {model} | {products} | {batch} | {once:.1f} | {operands:.1f} | {different:.1f} | {different / operands:.2f} "
                   f"| {different / once:.2f} | {accessed:.1f} |\n")


def write_ranges(rows, file):
    """Of calls of some size; their bounds are 1.15 and 1.1."""
    ranges = {}
    for row in rows:
        if float(row[7]) >= 3000:
            ranges.setdefault((row[4], row[5]), []).append([float(row[8]), float(row[9]), float(row[11])])
    file.write("| operator | kernel | calls | within both bounds | different / operands | accessed / operands | wavefronts / ideal |\n"
               "| --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
    for (operator, kernel), calls in sorted(ranges.items()):
        within = sum(accessed <= 1.15 and wavefronts <= 1.1 for _, accessed, wavefronts in calls)
        spans = [f"{min(column):.2f} to {max(column):.2f}" for column in zip(*calls)]
        file.write(f"| {operator} | {kernel} | {len(calls)} | {within} | {' | '.join(spans)} |\n")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    build, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        counted = pathlib.Path(folder)
        count(build, counted)
        rows = read(sorted(counted.glob("*.rows.csv")))
        with (out / "kernels.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEAD] + rows)
        with (out / "kernels.md").open("w") as file:
            write_ranges(rows, file)
        with (out / "steps.md").open("w") as file:
            write_steps(read(sorted(counted.glob("*.step.csv"))), file)


main()
