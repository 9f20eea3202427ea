// The power method on gradients.
#include "parallel/strategy/power_sgd.h"

#include <algorithm>
#include <cmath>

#include "core/rng.h"

namespace xbench {

PowerSgd::PowerSgd(const ModelState& state, int64_t rank, uint64_t seed)
    : error_(static_cast<size_t>(state.flat.parameter_elements)) {
    int64_t p = 0, q = 0, plain = 0;
    for (const FlatRange& range : state.flat.parameters) {
        const Shape& shape = state.graph.value(range.value).shape;
        const int64_t rows = shape.rank > 1 ? shape[0] : 1, columns = range.count / std::max<int64_t>(rows, 1);
        const int64_t kept = std::min({rank, rows, columns});
        if (shape.rank < 2 || (rows + columns) * kept >= rows * columns) {
            plain_.push_back(range);
            plain += range.count;
            continue;
        }
        matrices_.push_back({range.begin, rows, columns, kept, p, q});
        p += rows * kept;
        q += columns * kept;
    }
    p_.resize(static_cast<size_t>(p));
    q_here_.resize(static_cast<size_t>(q));
    plain_values_.resize(static_cast<size_t>(plain));
    Random random(seed, RandomUse::weights, UINT32_MAX);  // the same on all ranks
    for (int64_t i = 0; i < q; ++i) q_.push_back(random.normal());
}

size_t PowerSgd::sum(float* gradients, DataPlane& over) {
    float* plain = plain_values_.data();
    for (const FlatRange& range : plain_) plain = std::copy_n(gradients + range.begin, range.count, plain);
    over.all_reduce_sum(plain_values_.data(), plain_values_.size(), Reduction::fast);
    const float* summed = plain_values_.data();
    for (const FlatRange& range : plain_) {
        std::copy_n(summed, range.count, gradients + range.begin);
        summed += range.count;
    }
    project(gradients);
    over.all_reduce_sum(p_.data(), p_.size(), Reduction::fast);
    for (const Matrix& matrix : matrices_) orthonormalise(matrix);
    project_back(gradients);
    std::copy(q_here_.begin(), q_here_.end(), q_.begin());
    over.all_reduce_sum(q_.data(), q_.size(), Reduction::fast);
    restore(gradients);
    return (plain_values_.size() + p_.size() + q_.size()) * sizeof(float);
}

// Adds the error of earlier steps; P = M Q.
void PowerSgd::project(float* gradients) {
    for (const Matrix& m : matrices_) {
        std::fill_n(p_.data() + m.p, m.rows * m.rank, 0.0f);
        for (int64_t row = 0; row < m.rows; ++row) {
            float* const values = gradients + m.begin + row * m.columns;
            const float* const error = error_.data() + m.begin + row * m.columns;
            float* const p = p_.data() + m.p + row * m.rank;
            for (int64_t column = 0; column < m.columns; ++column) {
                values[column] += error[column];
                for (int64_t k = 0; k < m.rank; ++k)
                    p[k] += values[column] * q_[static_cast<size_t>(m.q + column * m.rank + k)];
            }
        }
    }
}

// Gram-Schmidt over the columns of P. A column that the others leave nothing of becomes zero.
void PowerSgd::orthonormalise(const Matrix& m) {
    float* const p = p_.data() + m.p;
    const auto dot = [&](int64_t a, int64_t b) {
        double sum = 0;
        for (int64_t row = 0; row < m.rows; ++row)
            sum += static_cast<double>(p[row * m.rank + a]) * static_cast<double>(p[row * m.rank + b]);
        return sum;
    };
    for (int64_t k = 0; k < m.rank; ++k) {
        const double before = std::sqrt(dot(k, k));
        for (int twice = 0; twice < 2; ++twice)  // once leaves rounding errors of nearly parallel columns
            for (int64_t other = 0; other < k; ++other) {
                const auto along = static_cast<float>(dot(k, other));
                for (int64_t row = 0; row < m.rows; ++row) p[row * m.rank + k] -= along * p[row * m.rank + other];
            }
        const double norm = std::sqrt(dot(k, k));
        const auto scale = static_cast<float>(norm > 1e-6 * before ? 1 / norm : 0);
        for (int64_t row = 0; row < m.rows; ++row) p[row * m.rank + k] *= scale;
    }
}

// Q of this rank = M^T P; the error = M - P Q^T.
void PowerSgd::project_back(float* gradients) {
    for (const Matrix& m : matrices_) {
        float* const q = q_here_.data() + m.q;
        std::fill_n(q, m.columns * m.rank, 0.0f);
        for (int64_t row = 0; row < m.rows; ++row) {
            const float* const values = gradients + m.begin + row * m.columns;
            const float* const p = p_.data() + m.p + row * m.rank;
            for (int64_t column = 0; column < m.columns; ++column)
                for (int64_t k = 0; k < m.rank; ++k) q[column * m.rank + k] += values[column] * p[k];
        }
        for (int64_t row = 0; row < m.rows; ++row)
            for (int64_t column = 0; column < m.columns; ++column) {
                const auto at = static_cast<size_t>(m.begin + row * m.columns + column);
                float kept = 0;
                for (int64_t k = 0; k < m.rank; ++k)
                    kept += p_[static_cast<size_t>(m.p + row * m.rank + k)] * q[column * m.rank + k];
                error_[at] = gradients[at] - kept;
            }
    }
}

// P Q^T with the Q of all ranks.
void PowerSgd::restore(float* gradients) {
    for (const Matrix& m : matrices_)
        for (int64_t row = 0; row < m.rows; ++row)
            for (int64_t column = 0; column < m.columns; ++column) {
                float value = 0;
                for (int64_t k = 0; k < m.rank; ++k)
                    value +=
                        p_[static_cast<size_t>(m.p + row * m.rank + k)] * q_[static_cast<size_t>(m.q + column * m.rank + k)];
                gradients[m.begin + row * m.columns + column] = value;
            }
}

}  // namespace xbench
