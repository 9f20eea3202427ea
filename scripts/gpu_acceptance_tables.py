#!/usr/bin/env python3
"""The tables of scripts/gpu_acceptance.sh that hold one file against another, in Markdown.

    gpu_acceptance_tables.py counts NCU.csv COUNTS.jsonl     what Nsight Compute counted on the GPU, the emulated GPU here: per launch
    gpu_acceptance_tables.py predicted PREDICTED.json MEASURED.json     a step's time, a line of `xbench step --json` a model
    gpu_acceptance_tables.py steps MEASURED.json TORCH.json  a step of xbench beside PyTorch's, eager and compiled
    gpu_acceptance_tables.py self-test

`counts` ends with 1 where sectors or wavefronts differ by more than 2% or instructions by more than 20%: those of the emulated GPU are
PTX, those of the GPU machine code.
"""
import csv
import io
import json
import sys

# Nsight Compute's metric, the emulated GPU's counts, and by how much they may differ.
COUNTED = [("smsp__inst_executed.sum", ["warp_instructions"], 0.2),
           ("l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum,l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum", ["global_sectors"], 0.02),
           ("l1tex__data_pipe_lsu_wavefronts_mem_shared.sum", ["shared_wavefronts"], 0.02)]


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def number(text):
    return float(text.replace(",", "") or 0)


def ncu_counts(text):
    """Kernel -> launches and sums, out of `ncu --csv --page raw`, which may have other lines in front."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        raise SystemExit("no table of Nsight Compute in the file")
    kernels = {}
    for row in csv.DictReader(io.StringIO("\n".join(lines[start:]))):
        if not row["ID"]:  # the line of units
            continue
        kernel = kernels.setdefault(row["Kernel Name"].split("(")[0], {"launches": 0})
        kernel["launches"] += 1
        for metrics, _, _ in COUNTED:
            kernel[metrics] = kernel.get(metrics, 0) + sum(number(row[metric]) for metric in metrics.split(","))
    return kernels


def emulated_counts(text):
    kernels = {}
    for line in text.splitlines():
        counts = json.loads(line)
        kernel = kernels.setdefault(counts["kernel"], {})
        for name, value in counts.items():
            if name != "kernel":
                kernel[name] = kernel.get(name, 0) + value
    return kernels


def compare_counts(ncu, emulated):
    rows, wrong = [], 0
    for name in sorted(ncu.keys() & emulated.keys()):
        real, ours = ncu[name], emulated[name]
        row = [name]
        for metrics, counts, tolerance in COUNTED:
            there = real[metrics] / real["launches"]
            here = sum(ours[count] for count in counts) / ours["launches"]
            differs = abs(there - here) > tolerance * max(there, 1)
            wrong += differs
            row += [f"{there:.0f}", f"{here:.0f}" + (" **differs**" if differs else "")]
        rows.append(row)
    head = ["kernel", "instructions, GPU", "emulated (PTX)", "sectors, GPU", "emulated", "wavefronts, GPU", "emulated"]
    return table(head, rows), wrong, len(rows)


def lines_of(text):
    return {json.loads(line)["model"]: json.loads(line) for line in text.splitlines() if line.startswith("{")}


def compare_predicted(predicted, measured):
    rows = []
    for model in sorted(predicted.keys() & measured.keys()):
        guess = sum(kernel["us"] for kernel in predicted[model]["predicted_not_measured"]) / 1e3
        real = measured[model]["step_ms_median"]
        rows.append([model, f"{guess:.3f}", f"{real:.3f}", f"{real / guess:.2f}"])
    return table(["model", "predicted ms", "measured ms", "measured / predicted"], rows), len(rows)


def compare_steps(measured, torch):
    rows = []
    for model in sorted(measured.keys() & torch.keys()):
        real, peer = measured[model]["step_ms_median"], torch[model]
        cells = [f"{real:.3f}"]
        for way in ("eager_ms", "compiled_ms"):
            cells += ["-", "-"] if peer[way] is None else [f"{peer[way]:.3f}", f"{peer[way] / real:.2f}"]
        rows.append([model, str(peer["batch"])] + cells)
    return table(["model", "batch", "xbench ms", "PyTorch eager ms", "eager / ours", "compiled ms", "compiled / ours"], rows), len(rows)


def self_test():
    names = ",".join(f'"{metric}"' for metrics, _, _ in COUNTED for metric in metrics.split(","))
    ncu = ncu_counts(f'==PROF== hello\n"ID","Kernel Name",{names}\n"","","inst","sector","sector","wavefront"\n'
                     '"0","relu","1,000","20","12","5"\n"1","relu(float *)","1,200","20","12","5"\n"2","other","1","1","1","1"\n')
    assert ncu["relu"]["launches"] == 2 and ncu["relu"]["smsp__inst_executed.sum"] == 2200, ncu
    counts = {"kernel": "relu", "launches": 4, "warp_instructions": 4400, "global_sectors": 128, "shared_wavefronts": 20}
    text, wrong, rows = compare_counts(ncu, emulated_counts(json.dumps(counts) + "\n"))
    assert (wrong, rows) == (0, 1) and "| relu | 1100 | 1100 | 32 | 32 | 5 | 5 |" in text, text
    counts["global_sectors"] = 140
    assert compare_counts(ncu, emulated_counts(json.dumps(counts)))[1] == 1
    step = json.dumps({"model": "m", "step_ms_median": 2.0})
    guess = json.dumps({"model": "m", "predicted_not_measured": [{"us": 500.0}, {"us": 500.0}]})
    assert "| m | 1.000 | 2.000 | 2.00 |" in compare_predicted(lines_of(guess), lines_of("note\n" + step))[0]
    peer = json.dumps({"model": "m", "batch": 8, "eager_ms": 3.0, "compiled_ms": None})
    assert "| m | 8 | 2.000 | 3.000 | 1.50 | - | - |" in compare_steps(lines_of(step), lines_of(peer))[0]
    print("the tables are as they should be")


def main():
    if sys.argv[1:] == ["self-test"]:
        return self_test()
    if len(sys.argv) != 4 or sys.argv[1] not in ("counts", "predicted", "steps"):
        sys.exit(__doc__)
    first, second = (open(name).read() for name in sys.argv[2:])
    wrong = 0
    if sys.argv[1] == "counts":
        text, wrong, rows = compare_counts(ncu_counts(first), emulated_counts(second))
    elif sys.argv[1] == "predicted":
        text, rows = compare_predicted(lines_of(first), lines_of(second))
    else:
        text, rows = compare_steps(lines_of(first), lines_of(second))
    print(text)
    if rows == 0:
        sys.exit("the two files have nothing in common")
    if wrong:
        sys.exit(f"{wrong} counts differ")


main()
