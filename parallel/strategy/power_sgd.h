// PowerSGD (Vogels, Karimireddy and Jaggi, NeurIPS 2019): the sum of the ranks' gradients of a layer, seen as a matrix M
// {n,m} (outputs by the rest), is approximated by P Q^T of a few columns. A step of the power method:
//   M_w <- gradient_w + error_w;  P <- sum of M_w Q, orthonormalised;  Q_w <- M_w^T P;  Q <- sum of Q_w
//   result P Q^T;  error_w <- M_w - P Q_w^T
// The errors of all ranks together are what the result lacks: it is added later, never lost (error feedback). Q is kept for
// the next step. Vectors, and matrices that the factors would not make smaller, are summed as they are.
// For the fast reduction only, and for gradients in the host's memory.
#pragma once

#include <cstdint>
#include <vector>

#include "core/communicator.h"
#include "parallel/strategy/model_state.h"

namespace xbench {

class PowerSgd {
public:
    PowerSgd(const ModelState& state, int64_t rank, uint64_t seed);
    // In place: the approximate sum over all ranks. Returns the bytes of what was summed over ranks. Collective.
    size_t sum(float* gradients, DataPlane& over);
    // What this rank has kept back so far, laid out as the gradients.
    const std::vector<float>& error() const { return error_; }

private:
    struct Matrix {
        int64_t begin, rows, columns, rank;  // in the flat buffer
        int64_t p, q;                        // where its factors begin
    };
    void project(float* gradients);
    void orthonormalise(const Matrix& matrix);
    void project_back(float* gradients);
    void restore(float* gradients);

    std::vector<Matrix> matrices_;
    std::vector<FlatRange> plain_;
    std::vector<float> error_, p_, q_, q_here_, plain_values_;
};

}  // namespace xbench
