// Least squares of a law over observed times, with coefficients of 0 or more (bench/laws/fit.h). Gauss-Newton; there are
// three coefficients at most, so which of them are 0 is found by trying all subsets.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "bench/laws/fit.h"

namespace xbench::least_squares {

inline constexpr size_t most = 3;
using Vector = std::array<double, most>;
using Matrix = std::array<Vector, most>;

struct Observed {
    double cores = 1, compute_seconds = 0;
    double seconds = 0;  // median
    double weight = 1;   // 1 / variance of its residual, up to sigma^2
};

size_t coefficients_of(Law law);
double model_seconds(Law law, const Vector& c, double cores, double compute_seconds);
// Weighted squares of the residuals.
double loss(Law law, FitScale scale, const std::vector<Observed>& points, const Vector& c);
Vector minimise(Law law, FitScale scale, const std::vector<Observed>& points);
// The inverse of the normal matrix at c: covariance of the coefficients in units of the residuals' variance.
Matrix covariance_at(Law law, FitScale scale, const std::vector<Observed>& points, const Vector& c);

}  // namespace xbench::least_squares
