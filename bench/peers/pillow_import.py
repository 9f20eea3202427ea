#!/usr/bin/env python3
"""The peer of `xbench data import`: Pillow decodes each file to gray (or RGB), resizes it with LANCZOS and the pixels are gathered
in one array, with one process a core. Prints images/s, start of the processes left out.

    pillow_import.py FOLDER [--size 64] [--rgb] [--processes N] [--repeats 3]
"""
import argparse
import multiprocessing
import os
import pathlib
import time

import numpy
from PIL import Image

SIZE = 64
MODE = "L"


def load(path):
    with Image.open(path) as image:
        return numpy.asarray(image.convert(MODE).resize((SIZE, SIZE), Image.LANCZOS))


def set_up(size, mode):
    global SIZE, MODE
    SIZE, MODE = size, mode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rgb", action="store_true")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    suffixes = {".png", ".jpg", ".jpeg"}
    files = sorted(str(path) for path in arguments.folder.rglob("*") if path.suffix.lower() in suffixes)
    with multiprocessing.Pool(arguments.processes, set_up, (arguments.size, "RGB" if arguments.rgb else "L")) as pool:
        pool.map(load, files[:64], chunksize=8)  # everybody has imported everything
        for _ in range(arguments.repeats):
            start = time.perf_counter()
            images = numpy.stack(pool.map(load, files, chunksize=32))
            seconds = time.perf_counter() - start
            print(f"pillow: {len(images)} images, {arguments.processes} processes, {seconds:.2f} s, {len(images) / seconds:.0f} images/s")


if __name__ == "__main__":
    main()
