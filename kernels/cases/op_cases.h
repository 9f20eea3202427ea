// How the operators of a folder are tested and timed, in its cases.cpp: what the lines of its problems.cfg mean and, for
// each operator, which data make sense, by what the rounding errors of an element are measured, and how large they may be.
// The conformance tests, the properties and the kernel bench read these rows; they know no operator by name.
#pragma once

#include <string_view>
#include <vector>

#include "core/rng.h"
#include "kernels/cases/problem_data.h"
#include "kernels/cases/problem_fields.h"
#include "kernels/op.h"

namespace xbench {

// The first word of a line of problems.cfg, and the calls that the line stands for.
struct LineKind {
    const char* name;
    // What else it may say beside n, leaves, bench and name: "h#" has a number behind it, "p=" a real one, "relu" stands
    // alone.
    const char* keys;
    std::vector<LayerProblem> (*calls)(const ProblemFields& fields);
};

// Operands full of random numbers, to be made ones that the operator can be given.
struct Fill {
    const KernelArgs& args;
    uint64_t seed;
    Random& random;
    double images() const { return static_cast<double>(args.step->global_batch); }
};

// What an element's rounding errors are proportional to.
struct Magnitudes {
    // Changes f64 inputs so that the reference gives the sum of the magnitudes of everything that was added up on the way;
    // null: its result is their magnitude.
    void (*inputs)(const KernelArgs& args);
    // Of an element of an output, where that does not do; null otherwise. `initial` has the operands before the call.
    double (*element)(const ProblemData& oracle, const ProblemData& initial, int output, int64_t index) = nullptr;
};

struct OpTesting {
    OpKind op;
    Answer<void (*)(const Fill& fill)>
        fill;  // inputs that cannot be just any number, and what is updated in place; null: any
    Answer<Magnitudes> magnitudes;
    Answer<bool> exact;        // of small integers the result is one: no rounding, in whatever order
    Answer<double> tolerance;  // k: an element may be off by k * 2^-24 * its magnitude; 0: by nothing
    // The operator f whose adjoint it is, <f(x), dy> = <x, this(dy)>, in the operand that its first output is named after;
    // no_operator: of none.
    Answer<OpKind> adjoint_of;
};
constexpr OpKind no_operator = OpKind::count_;

struct FolderCases {
    std::vector<LineKind> lines;
    std::vector<OpTesting> operators;
};

const OpTesting& testing_of(OpKind op);            // throws Error that names an operator without a row
const LineKind* find_line(std::string_view name);  // null: there is none

}  // namespace xbench
