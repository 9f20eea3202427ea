#!/usr/bin/env python3
"""What products in bf16 would cost inside of Winograd: the root mean square error of a 3x3 convolution whose factors are
rounded to bf16, as a share of the output's root mean square. Needs NumPy. No kernel does this; docs/performance.md has the
figures and what follows from them.

    scripts/winograd_bf16_error.py
"""
import numpy as np

IMAGE = 16


def rounded(values):
    """To bf16: nearest, ties to even."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32).astype(np.float64)


def transforms(points, m):
    """F(m, 3) with these points and infinity, as kernels/conv2d/winograd/winograd_transforms.h builds it: of x, of w, of products."""
    n = m + 2
    of_x, of_w, of_products = np.zeros((n, n)), np.zeros((n, 3)), np.zeros((m, n))
    for i, point in enumerate(points):
        others = points[:i] + points[i + 1:]
        of_x[i, : n - 1] = np.polynomial.polynomial.polyfromroots(others)
        of_w[i] = np.power(point, range(3)) / np.prod([point - other for other in others])
        of_products[:, i] = np.power(point, range(m))
    of_x[n - 1] = np.polynomial.polynomial.polyfromroots(points)
    of_w[n - 1, 2] = of_products[m - 1, n - 1] = 1
    return of_x, of_w, of_products


def direct(x, w):
    taps = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return np.einsum("chwrs,kcrs->khw", taps, w, optimize=True)


def winograd(x, w, points, m, factor):
    of_x, of_w, of_products = transforms(points, m)
    tiles = np.lib.stride_tricks.sliding_window_view(x, (m + 2, m + 2), axis=(1, 2))[:, ::m, ::m]
    inputs = factor(np.einsum("ia,cyxab,jb->cyxij", of_x, tiles, of_x, optimize=True))
    filters = factor(np.einsum("ia,kcab,jb->kcij", of_w, w, of_w, optimize=True))
    products = np.einsum("cyxij,kcij->kyxij", inputs, filters, optimize=True)
    outputs = np.einsum("ai,kyxij,bj->kyaxb", of_products, products, of_products, optimize=True)
    return outputs.reshape(len(w), IMAGE, IMAGE)


def main():
    random = np.random.default_rng(0)
    print("channels  inputs  direct   F(2,3)   F(4,3)")
    for channels in (32, 64, 128):
        for relu in (False, True):
            x = np.zeros((channels, IMAGE + 2, IMAGE + 2))
            x[:, 1:-1, 1:-1] = random.standard_normal((channels, IMAGE, IMAGE))
            x = np.maximum(x, 0) if relu else x
            w = random.standard_normal((channels, channels, 3, 3)) / np.sqrt(9 * channels)
            exact = direct(x, w)

            def error(y):
                return np.sqrt(np.mean((y - exact) ** 2) / np.mean(exact**2))

            ways = [error(direct(rounded(x), rounded(w)))]
            for points, m in (([0, 1, -1], 2), ([0, 0.625, -0.625, 1.5, -1.5], 4)):
                assert error(winograd(x, w, points, m, lambda values: values)) < 1e-12
                ways.append(error(winograd(x, w, points, m, rounded)))
            print(f"{channels:8}  {'ReLU' if relu else 'normal':6}", "  ".join(f"{way:.5f}" for way in ways))


if __name__ == "__main__":
    main()
