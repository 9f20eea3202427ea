#!/usr/bin/env python3
"""Compiles small kernels with Triton (no GPU needed) into the PTX beside this file, which foreign_test.cpp runs.

pip install triton; python3 make_ptx.py. The PTX is kept, so that the tests need no Triton. Parameters behind the kernel's own are
Triton's scratch pointers, which these kernels do not use. Shared memory is dynamic: its size stands in each file's first line.
"""
import pathlib
import re

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

TILE, DEPTH, ROW = 64, 32, 256


@triton.jit
def product(a, b, c, n, TILE: tl.constexpr, DEPTH: tl.constexpr):
    """c{n,n} = a{n,n} b{n,n}, row by row, one tile a program; n need not be a multiple of the tile."""
    rows = tl.program_id(0) * TILE + tl.arange(0, TILE)
    columns = tl.program_id(1) * TILE + tl.arange(0, TILE)
    total = tl.zeros((TILE, TILE), tl.float32)
    for begin in range(0, n, DEPTH):
        inner = begin + tl.arange(0, DEPTH)
        x = tl.load(a + rows[:, None] * n + inner[None, :], mask=(rows[:, None] < n) & (inner[None, :] < n), other=0.0)
        y = tl.load(b + inner[:, None] * n + columns[None, :], mask=(inner[:, None] < n) & (columns[None, :] < n), other=0.0)
        total = tl.dot(x, y, total)
    tl.store(c + rows[:, None] * n + columns[None, :], total, mask=(rows[:, None] < n) & (columns[None, :] < n))


@triton.jit
def softmax(x, y, n, ROW: tl.constexpr):
    """One row of n <= ROW values a program."""
    place = tl.arange(0, ROW)
    values = tl.load(x + tl.program_id(0) * n + place, mask=place < n, other=-float("inf"))
    powers = tl.exp(values - tl.max(values, 0))
    tl.store(y + tl.program_id(0) * n + place, powers / tl.sum(powers, 0), mask=place < n)


def keep(name, kernel, signature, constants, capability):
    aligned = {(i,): [["tt.divisibility", 16]] for i in range(len(signature))}
    source = ASTSource(kernel, {**signature, **{c: "constexpr" for c in constants}}, constants, aligned)
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 4, "num_stages": 3, "ptx_version": 88})
    text = re.sub(r"\n\t\.section\t\.debug_\w+.*", "\n", made.asm["ptx"], flags=re.S)
    text = re.sub(r'(\.file\s+\d+ )"[^"]*/', r'\1"', text)
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("$L__tmp"))
    file = pathlib.Path(__file__).parent / f"{name}_sm{capability}.ptx"
    file.write_text(f"// Triton {triton.__version__}, make_ptx.py; shared {made.metadata.shared}\n{text}\n")
    print(file.name, made.metadata.shared, len(text))


for capability in (80, 90):
    for dtype in ("bf16", "fp16", "fp32"):
        types = {"a": "*" + dtype, "b": "*" + dtype, "c": "*fp32", "n": "i32"}
        keep(f"product_{dtype}", product, types, {"TILE": TILE, "DEPTH": DEPTH}, capability)
    keep("softmax", softmax, {"x": "*fp32", "y": "*fp32", "n": "i32"}, {"ROW": ROW}, capability)
