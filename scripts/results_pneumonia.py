#!/usr/bin/env python3
"""Table and picture of the five seeds that scripts/results_pneumonia.sh trained:   results_pneumonia.py OUT
Writes OUT/seeds.md and OUT/seeds.svg. Needs nothing but Python."""
import csv, json, math, pathlib, statistics, sys

from results_runs import record_of

PYTORCH = (.950, .929, .943)   # the same model, split, batch and epochs in PyTorch, best validation epoch, three seeds


def read(out):
    runs = []
    for folder in sorted(out.glob("seed-*")):
        metrics = json.loads((folder / "metrics.json").read_text())
        history = list(csv.DictReader((folder / "history.csv").open()))
        record = record_of(folder)
        runs.append({"seed": int(folder.name.split("-")[1]), "test": metrics, "history": history,
                     "images_per_second": record["value"], "hash": record["weights_hash"]})
    return runs


def table(runs):
    accuracy = [run["test"]["accuracy"] for run in runs]
    mean, error = statistics.mean(accuracy), statistics.stdev(accuracy) / math.sqrt(len(accuracy))
    reference = statistics.mean(PYTORCH)
    reference_error = statistics.stdev(PYTORCH) / math.sqrt(len(PYTORCH))
    both = math.hypot(error, reference_error)
    lines = ["| seed | test accuracy | balanced | macro F1 | loss | images/s | weights |", "| ---: | ---: | ---: | ---: | ---: | ---: | --- |"]
    for run in runs:
        test = run["test"]
        lines.append(f"| {run['seed']} | {test['accuracy']:.4f} | {test['balanced_accuracy']:.4f} | {test['macro']['f1']:.4f} | {test['loss']:.4f} "
                     f"| {run['images_per_second']:.0f} | {run['hash'][:8]} |")
    lines += ["", f"Mean test accuracy {mean:.4f}, standard error {error:.4f} ({len(runs)} seeds); always the majority class: "
              f"{runs[0]['test']['majority_baseline']:.4f}.",
              f"PyTorch on the same split: mean {reference:.4f}, standard error {reference_error:.4f} ({len(PYTORCH)} seeds). "
              f"Difference {mean - reference:+.4f}, {(mean - reference) / both:+.1f} standard errors of the difference."]
    return "\n".join(lines) + "\n"


def picture(runs):
    width, height, left, top, right, bottom = 760, 420, 64, 40, 740, 360
    colours = ("#1b6ca8", "#c8553d", "#2e8b57", "#8e5ea2", "#b8860b")
    epochs = max(len(run["history"]) for run in runs)
    low, high = 0.7, 1.0
    x = lambda epoch: left + (right - left) * (epoch - 1) / max(1, epochs - 1)
    y = lambda value: bottom - (bottom - top) * (min(max(value, low), high) - low) / (high - low)
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="24" font-size="15">pneumonia_cnn, validation accuracy by epoch (dot: test accuracy of the best epoch)</text>']
    for step in range(7):
        value = low + step * (high - low) / 6
        svg.append(f'<line x1="{left}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
                   f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>')
    for epoch in range(1, epochs + 1):
        svg.append(f'<text x="{x(epoch):.1f}" y="{bottom + 20}" text-anchor="middle">{epoch}</text>')
    for run, colour in zip(runs, colours):
        points = [(x(int(row["epoch"])), y(float(row["val_accuracy"]))) for row in run["history"]]
        best = max(range(len(points)), key=lambda i: (float(run["history"][i]["val_accuracy"]), -float(run["history"][i]["val_loss"])))
        svg.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>'
                   f'<circle cx="{points[best][0]:.1f}" cy="{y(run["test"]["accuracy"]):.1f}" r="4.5" fill="{colour}"/>')
        row = 300 + 14 * runs.index(run)
        svg.append(f'<text x="{right - 120}" y="{row - 20}" fill="{colour}">seed {run["seed"]}: {run["test"]["accuracy"]:.3f}</text>')
    svg.append(f'<text x="{(left + right) / 2}" y="{bottom + 42}" text-anchor="middle">epoch</text></svg>')
    return "\n".join(svg) + "\n"


def main():
    out = pathlib.Path(sys.argv[1])
    runs = read(out)
    (out / "seeds.md").write_text(table(runs))
    (out / "seeds.svg").write_text(picture(runs))
    print(table(runs))


if __name__ == "__main__":
    main()
