#!/usr/bin/env python3
# What ptxas makes of the kernels: for every kernel of the build no local memory (no spills, no arrays that are indexed at run
# time) and at most MOST_REGISTERS registers; in the main loops of the tensor cores' kernels that copy 16 bytes at a time, at most 6
# integer instructions for each matrix instruction, copies of 128 bits only and no narrow access to shared memory.
# usage: sass_gate.py SOURCE_DIR BUILD_DIR NVCC [--write FILE] [ARCH ...]; or --self-test
# Reads the machine code in BUILD_DIR/cuda/*.fatbin. A build for PTX only (XB_CUDA_CUBINS empty) has none: that of the tensor cores'
# kernels is then compiled here. Needs nvdisasm; exit code 77 where there is none. --write keeps the figures as a table.
import glob
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

# A thread has 255, which the filter gradients of first layers use up without a spill. halo_gemm keeps a tile of sums in up to 236, one block to a multiprocessor; a change beyond this would soon spill.
MOST_REGISTERS = 240
ALL_REGISTERS = ("stem_wgrad", "stem_pool_wgrad", "stem_batchnorm_pool_wgrad")
MOST_INTEGERS = 6.0
INTEGER = ("IADD", "VIADD", "IMAD", "LOP", "PLOP", "SHF", "LEA", "ISETP", "SEL", "PRMT", "IMNMX", "VIMNMX", "BFE", "MOV", "R2UR",
           "UIADD", "UIMAD", "ULOP", "USHF", "UISETP", "USEL", "ULEA", "UMOV")
# With channels that are no multiple of 4 copies are of 4 bytes, one for a matrix instruction or more.
NARROW_COPIES = ("_odd_", "_stem_")
TENSOR_STEMS = ("implicit_gemm_bf16", "implicit_gemm_f16", "implicit_gemm_tf32")
ELF_OF_CUDA = 190
WITH_SIZE, REGISTERS = 4, 0x2f  # in .nv.info: a format, and the attribute {symbol, number}


# Beside nvcc, where scripts/install_deps.sh --cuda puts it, or on the path.
def find_nvdisasm(source, nvcc):
    places = [os.path.join(os.path.dirname(nvcc), "nvdisasm")]
    places += glob.glob(os.path.join(source, ".deps/**/bin/nvdisasm"), recursive=True)
    found = [place for place in places if os.access(place, os.X_OK)]
    return os.environ.get("XB_NVDISASM") or (found[0] if found else shutil.which("nvdisasm"))


# The ELF files in a fat binary that is not compressed.
def cubins_in(data):
    at = data.find(b"\x7fELF")
    while at >= 0:
        machine, = struct.unpack_from("<H", data, at + 18)
        program, sections = struct.unpack_from("<QQ", data, at + 32)
        program_size, programs, section_size, count = struct.unpack_from("<HHHH", data, at + 54)
        if machine == ELF_OF_CUDA:
            yield data[at:at + max(program + program_size * programs, sections + section_size * count)]
        at = data.find(b"\x7fELF", at + 4)


# Registers of the kernels of an ELF file, by name.
def registers_in(cubin):
    sections_at, = struct.unpack_from("<Q", cubin, 40)
    _, count, names_index = struct.unpack_from("<HHH", cubin, 58)
    sections = [struct.unpack_from("<IIQQQQ", cubin, sections_at + 64 * s) for s in range(count)]
    text = lambda at: cubin[at:cubin.index(b"\0", at)].decode()
    by_name = {text(sections[names_index][4] + s[0]): s for s in sections}
    symbols, strings, info = by_name[".symtab"][4], by_name[".strtab"][4], by_name[".nv.info"]
    found, at = {}, info[4]
    while at + 4 <= info[4] + info[5]:
        form, attribute, size = struct.unpack_from("<BBH", cubin, at)
        size = size if form == WITH_SIZE else 0
        if form == WITH_SIZE and attribute == REGISTERS:
            symbol, number = struct.unpack_from("<II", cubin, at + 4)
            found[text(strings + struct.unpack_from("<I", cubin, symbols + 24 * symbol)[0])] = number
        at += 4 + size
    return found


def compile_cubin(source, nvcc, stem, arch, folder):
    cubin = os.path.join(folder, f"{stem}.{arch}.cubin")
    subprocess.run([nvcc, "-cubin", f"-arch={arch}", "-O3", "-std=c++20", f"-I{source}", "-o", cubin,
                    os.path.join(source, "kernels/conv2d/implicit_gemm", stem + ".cu")], check=True)
    with open(cubin, "rb") as file:
        return stem, file.read()


# (stem, machine code) of all files, or of the tensor cores' where the build has none.
def machine_code(source, build, nvcc, archs, folder):
    found = []
    for path in sorted(glob.glob(os.path.join(build, "cuda/*.fatbin"))):
        with open(path, "rb") as file:
            found += [(os.path.basename(path)[:-len(".fatbin")], cubin) for cubin in cubins_in(file.read())]
    if found:
        return found, True
    print("this build has PTX only (XB_CUDA_CUBINS): the tensor cores' kernels are compiled here, the others not looked at")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda job: compile_cubin(source, nvcc, *job, folder),
                             [(stem, arch) for stem in TENSOR_STEMS for arch in archs])), False


def disassemble(nvdisasm, cubin, folder, number):
    path = os.path.join(folder, f"{number}.cubin")
    with open(path, "wb") as file:
        file.write(cubin)
    return subprocess.run([nvdisasm, "-c", path], capture_output=True, text=True, check=True).stdout


class Kernel:
    def __init__(self, stem, arch, name, registers, code, labels):
        self.stem, self.arch, self.name, self.registers = stem, arch, name, registers
        self.code, self.labels = code, labels
        self.local = sum(op.startswith(("LDL", "STL")) for _, op, _ in code)
        self.loop, self.matrices = main_loop(code, labels)
        real = [op for guard, op, _ in self.loop or [] if guard != "@!PT"]  # never executed: a workaround of ptxas
        self.integers = sum(op.startswith(INTEGER) for op in real) / self.matrices if self.matrices else 0
        self.narrow_copies = any(op.startswith("LDGSTS") and "128" not in op for op in real)
        self.narrow_shared = any(re.match(r"LDS(\.|$)", op) and "128" not in op for op in real)
        self.may_be_narrow = any(mark in name for mark in NARROW_COPIES)

    def faults(self):
        faults = []
        if self.local:
            faults.append(f"{self.local} accesses to local memory")
        if not 0 < self.registers <= (255 if self.name.startswith(ALL_REGISTERS) else MOST_REGISTERS):
            faults.append(f"{self.registers} registers")
        if not self.matrices or self.may_be_narrow:
            return faults
        if self.integers > MOST_INTEGERS:
            faults.append(f"{self.integers:.2f} integer instructions for each matrix instruction")
        if self.narrow_copies:
            faults.append("narrow copies")
        if self.narrow_shared:
            faults.append("narrow accesses to shared memory")
        return faults


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


def kernels_in(stem, registers, text):
    arch = re.search(r"\.target\s+(\w+)", text).group(1)
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
        yield Kernel(stem, arch, name, registers.get(name, 0), code, labels)


def table(kernels, compiler, disassembler):
    lines = ["# Machine code of the kernels", "",
             "Written by `tests/kernels/sass_gate.py ... --write FILE`, which is also a test (`ctest -R sass_gate`). It reads machine",
             "code; nothing was run or timed.", "", f"Compiled by {compiler}, read by nvdisasm {disassembler}. Limits: no local memory,",
             f"at most {MOST_REGISTERS} registers (255 in filter gradients of first layers), at most {MOST_INTEGERS:g} integer instructions for each matrix instruction (HMMA) of a main loop.",
             "", "## Main loops on tensor cores", "",
             "128-bit: all copies to shared memory and all of its plain loads. Kernels for channels that are no multiple of 4 copy 4",
             "bytes at a time, one copy for a matrix instruction or more.", "",
             "| kernel | GPU | registers | local memory | HMMA of a loop | integer instructions for each | 128-bit |",
             "| --- | --- | --: | --: | --: | --: | --- |"]
    for k in kernels:
        if k.matrices:
            wide = "4 bytes by design" if k.may_be_narrow else "no" if k.narrow_copies or k.narrow_shared else "yes"
            lines.append(f"| {k.name} | {k.arch} | {k.registers} | {k.local} | {k.matrices} | {k.integers:.2f} | {wide} |")
    lines += ["", "## All kernels by file", "", "| file | GPU | kernels | most registers | accesses to local memory |",
              "| --- | --- | --: | --: | --: |"]
    for stem, arch in sorted({(k.stem, k.arch) for k in kernels}):
        those = [k for k in kernels if (k.stem, k.arch) == (stem, arch)]
        lines.append(f"| {stem}.cu | {arch} | {len(those)} | {max(k.registers for k in those)} | {sum(k.local for k in those)} |")
    return "\n".join(lines) + "\n"


def version_of(program):
    return re.search(r"V([0-9.]+)", subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout).group(1)


# Code that the gate must refuse, and its clean twin.
def self_test():
    def faults(body, registers=40):
        lines = ["\t.target\tsm_80", "\t.section\t.text.k,\"ax\",@progbits", ".text.k:", ".L_x_0:"]
        lines += [f"        /*{16 * n:04x}*/                   {op} ;" for n, op in enumerate(body + ["@P0 BRA `(.L_x_0)"])]
        return [k for k in kernels_in("k", {"k": registers}, "\n".join(lines))][0].faults()

    clean = ["LDGSTS.E.BYPASS.128 [R1], [R2]", "LDS.128 R4, [R1]", "HMMA.16816.F32.BF16 R8, R4, R6, R8"] + ["IADD3 R1, R1, 1, RZ"] * 6
    assert faults(clean) == [], faults(clean)
    wrong = {"LDL R1, [R2]": "local memory", "STL [R2], R1": "local memory", "IMAD R1, R1, R2, R3": "7.00 integer",
             "LDGSTS.E [R1], [R2]": "narrow copies", "LDS R4, [R1]": "narrow accesses"}
    for op, fault in wrong.items():
        assert any(fault in found for found in faults(clean + [op])), op
    assert faults(clean, MOST_REGISTERS + 1) and faults(clean, 0)
    print(f"{len(wrong) + 2} faults found, none in their twin")
    return 0


def main():
    arguments = sys.argv[1:]
    if arguments == ["--self-test"]:
        return self_test()
    write = None
    if "--write" in arguments:
        at = arguments.index("--write")
        write = arguments[at + 1]
        del arguments[at:at + 2]
    source, build, nvcc, archs = arguments[0], arguments[1], arguments[2], arguments[3:] or ["sm_80"]
    nvdisasm = find_nvdisasm(source, nvcc)
    if not nvdisasm:
        print("SKIPPED: no nvdisasm here; run scripts/install_deps.sh --cuda, or set XB_NVDISASM")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        code, whole = machine_code(source, build, nvcc, archs, folder)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            texts = list(pool.map(lambda job: disassemble(nvdisasm, job[1][1], folder, job[0]), enumerate(code)))
    kernels = [kernel for (stem, cubin), text in zip(code, texts) for kernel in kernels_in(stem, registers_in(cubin), text)]
    bad = 0
    for k in kernels:
        faults = k.faults()
        bad += bool(faults)
        if faults or k.matrices:
            loop = f", {k.matrices} matrix instructions, {k.integers:.2f} integer ones for each" if k.matrices else ""
            print(f"{k.name} {k.arch}: {k.registers} registers{loop}{' FAULT: ' if faults else ''}{', '.join(faults)}")
    loops = sum(k.matrices > 0 for k in kernels)
    print(f"{len(kernels)} kernels, {loops} main loops, {bad} with faults")
    if loops < 30:
        print(f"FAULT: only {loops} main loops found")
        bad += 1
    if write and whole:
        with open(write, "w") as file:
            file.write(table(kernels, "nvcc " + version_of(nvcc), version_of(nvdisasm)))
    return 1 if bad else 0


sys.exit(main())
