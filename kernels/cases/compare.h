// The one way in which a kernel's result is compared with the oracle's. An element may be off by k * eps * scale, where eps
// is 2^-24 (the rounding error of one f32 operation) and scale is the sum of the magnitudes that were added up to get it
// (ProblemData::magnitudes), never one tolerance for all.
#pragma once

#include <string>

#include "kernels/cases/problem_data.h"

namespace xbench {

struct Comparison {
    bool ok = true;
    double worst = 0;               // largest |y - reference| / (eps * scale): the k that would just have been enough
    double max_error = 0;           // largest |y - reference|
    double max_relative_error = 0;  // the same over the output's largest magnitude
    std::string message;            // says where and what when not ok
};

// Compares output i of the kernel's data with that of the oracle; `scale` (may be null: the reference's own magnitude)
// holds the magnitudes. by_plane: an element's scale is the largest magnitude of its image or filter (the last two of four
// axes). k = 0 asks for equality.
Comparison compare_output(const ProblemData& actual, const ProblemData& oracle, const ProblemData* scale, int output,
                          double k, bool by_plane = false);

// What the f64 reference makes of this data, once for all rows that are compared with it. Without magnitudes it is only good
// for k = 0.
struct Oracle {
    explicit Oracle(const ProblemData& data, bool magnitudes = true);
    ProblemData expected, scale;
    bool with_magnitudes;
};

// Runs the kernel on this data and compares all outputs, the padding and the guards.
Comparison check_kernel(const Kernel& kernel, const ProblemData& data, const Oracle& oracle, int threads, double k);

// The same of what a kernel has made of its data already.
Comparison compare(const ProblemData& actual, const Kernel& kernel, const Oracle& oracle, double k);

// How far an f32 implementation of this problem may be off, as k; the second form: this implementation.
double tolerance_of(const LayerProblem& problem);
double tolerance_of(const LayerProblem& problem, const Kernel& kernel);

// Why the expected output tests nothing (mostly one value), or "" when it is fine.
std::string why_uninformative(const KernelTensor& expected);

}  // namespace xbench
