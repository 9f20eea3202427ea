// The operands of one kernel call with data in them, for the tests and the kernel bench: inputs that make sense for the
// operator (variances are positive, indices point into windows), outputs filled with NaN, and words behind every tensor that
// nobody may touch. The same data exists in f32 for the kernel under test and in f64 for the oracle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <vector>

#include "kernels/cases/problem_list.h"

namespace xbench {

enum class DataKind {
    random,  // uniform, most in [-1, 1)
    exact    // small integers: sums and products have no rounding error in f32, in whatever order
};

class ProblemData {
public:
    ProblemData(const LayerProblem& problem, DataKind kind, uint64_t seed);
    ProblemData(const ProblemData& other);
    ProblemData& operator=(const ProblemData&) = delete;

    ProblemData in_double() const;  // f32 operands converted, the rest copied
    // f64 operands for which the reference's result is the sum of the magnitudes of everything that was added up on the way
    // (sum |a||b| for a convolution): an element's rounding errors are proportional to it.
    ProblemData magnitudes() const;
    // Outputs are NaN again (those of an optimizer: as before its update).
    void reset_outputs();

    const KernelArgs& args() const { return args_; }
    KernelArgs& args() { return args_; }
    StepContext& step() { return step_; }
    const LayerProblem& problem() const { return problem_; }
    // The memory of each operand, inputs first; with the words behind it that nobody may touch, or without them.
    std::vector<std::span<std::byte>> memory(bool with_guards);
    bool guards_intact() const;  // nothing was written past the end of an operand

private:
    struct Operand {
        std::vector<uint64_t> words;  // data, then guard words
        size_t bytes = 0;
    };
    void allocate();
    void point();
    void fill(DataKind kind, uint64_t seed);

    LayerProblem problem_;
    std::vector<Operand> in_, out_, initial_;  // initial_: what outputs hold before the call
    std::vector<int64_t> sample_ids_;
    StepContext step_{};
    KernelArgs args_{};
};

// Elements of a tensor by logical index, whatever its type and layout, as double.
double element(const KernelTensor& tensor, int64_t index);
void set_element(const KernelTensor& tensor, int64_t index, double value);
int64_t elements_of(const KernelTensor& tensor);      // logical
int64_t stored_bytes_of(const KernelTensor& tensor);  // with the channel padding of its layout
bool padding_is_zero(const KernelTensor& tensor);     // of nchw16c
// Sums over elements, powers or products can be made exact with integers: the operators of the exact test.
bool is_exact(const LayerProblem& problem);
// p of the dropout behind a max-pooling that both are folded into; 0: none.
float folded_dropout(const LayerProblem& problem);

}  // namespace xbench
