#!/usr/bin/env python3
# What ptxas makes of the tensor cores' kernels: no spills anywhere and, in the main loops of those that copy 16 bytes at a time, at
# most 6 integer instructions for each matrix instruction, copies of 128 bits only and no narrow access to shared memory.
# usage: sass_gate.py SOURCE_DIR NVCC [ARCH ...]. Needs nvdisasm; exit code 77 where there is none.
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

MOST_INTEGERS = 6.0
INTEGER = ("IADD", "VIADD", "IMAD", "LOP", "PLOP", "SHF", "LEA", "ISETP", "SEL", "PRMT", "IMNMX", "VIMNMX", "BFE", "MOV", "R2UR",
           "UIADD", "UIMAD", "ULOP", "USHF", "UISETP", "USEL", "ULEA", "UMOV")
# With channels that are no multiple of 4 copies are of 4 bytes, one for a matrix instruction or more.
NARROW_COPIES = ("_odd_", "_stem_")


# Beside nvcc, where scripts/install_deps.sh --cuda puts it, or on the path.
def find_nvdisasm(source, nvcc):
    places = [os.path.join(os.path.dirname(nvcc), "nvdisasm")]
    places += glob.glob(os.path.join(source, ".deps/cuda/**/bin/nvdisasm"), recursive=True)
    found = [place for place in places if os.access(place, os.X_OK)]
    return os.environ.get("XB_NVDISASM") or (found[0] if found else shutil.which("nvdisasm"))


def kernels_in(text):
    for part in re.split(r"\n(?=\s*\.section\s+\.text\.)", text)[1:]:
        name = re.search(r"\.section\s+\.text\.([^,\s]+)", part).group(1)
        code, labels = [], {}
        for line in part.splitlines():
            label = re.match(r"(\.L_x_\d+):", line)
            if label:
                labels[label.group(1)] = len(code)
            found = re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(@!?U?P\w+ )?\s*([A-Z][A-Z0-9_.]*)(.*)", line)
            if found:
                code.append(((found.group(1) or "").strip(), found.group(2), found.group(3)))
        yield name, code, labels


# The loop with the most matrix instructions.
def main_loop(code, labels):
    best, most = None, 0
    for at, (_, op, rest) in enumerate(code):
        target = re.search(r"\.L_x_\d+", rest)
        if not op.startswith("BRA") or not target or labels.get(target.group(0), at + 1) > at:
            continue
        loop = code[labels[target.group(0)]:at + 1]
        matrices = sum(i[1].startswith("HMMA") for i in loop)
        if matrices > most:
            best, most = loop, matrices
    return best, most


def faults_of(name, code, labels):
    faults = []
    if any(op.startswith(("LDL", "STL")) for _, op, _ in code):
        faults.append("spills")
    loop, matrices = main_loop(code, labels)
    if loop is None:
        return faults, ""
    real = [(guard, op) for guard, op, _ in loop if guard != "@!PT"]  # never executed: a workaround of ptxas
    integers = sum(op.startswith(INTEGER) for _, op in real)
    ratio = integers / matrices
    if not any(mark in name for mark in NARROW_COPIES):
        if ratio > MOST_INTEGERS:
            faults.append(f"{ratio:.2f} integer instructions for each matrix instruction")
        if any(op.startswith("LDGSTS") and "128" not in op for _, op in real):
            faults.append("narrow copies")
        if any(re.match(r"LDS(\.|$)", op) and "128" not in op for _, op in real):
            faults.append("narrow accesses to shared memory")
    return faults, f"{matrices} matrix instructions, {ratio:.2f} integer ones for each"


def main():
    source, nvcc, archs = sys.argv[1], sys.argv[2], sys.argv[3:] or ["sm_80"]
    nvdisasm = find_nvdisasm(source, nvcc)
    if not nvdisasm:
        print("SKIPPED: no nvdisasm here; run scripts/install_deps.sh --cuda, or set XB_NVDISASM")
        return 77
    bad, loops = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for stem in ("implicit_gemm_bf16", "implicit_gemm_f16", "implicit_gemm_tf32"):
            for arch in archs:
                cubin = os.path.join(folder, f"{stem}.{arch}.cubin")
                subprocess.run([nvcc, "-cubin", f"-arch={arch}", "-O3", "-std=c++20", f"-I{source}", "-o", cubin,
                                os.path.join(source, "kernels/conv2d/implicit_gemm", stem + ".cu")], check=True)
                text = subprocess.run([nvdisasm, "-c", cubin], capture_output=True, text=True, check=True).stdout
                for name, code, labels in kernels_in(text):
                    faults, figures = faults_of(name, code, labels)
                    loops += bool(figures)
                    bad += bool(faults)
                    print(f"{name} {arch}: {figures}{' FAULT: ' if faults else ''}{', '.join(faults)}")
    if loops < 30:
        print(f"FAULT: only {loops} main loops found")
        bad += 1
    return 1 if bad else 0


sys.exit(main())
