// Gauss-Newton with the active set by enumeration.
#include "bench/laws/least_squares.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace xbench::least_squares {
namespace {

// x_j(p): see formula_of. The step law's first coefficient is the latency, its second the bytes over the bandwidth, of a
// ring.
Vector basis(Law law, double p, double) {
    switch (law) {
        case Law::amdahl: return {1, 1 / p, 0};
        case Law::usl: return {1 / p, (p - 1) / p, p - 1};
        case Law::amdahl_communication: return {1, 1 / p, std::log2(p)};
        case Law::step: return {2 * (p - 1), 2 * (p - 1) / p, 0};
        case Law::gustafson: break;
    }
    return {1, p, 0};  // of p/T, as Gustafson's rate is linear in p
}

// d T / d c_j
Vector gradient(Law law, const Vector& c, double p, double compute) {
    Vector x = basis(law, p, compute);
    if (law != Law::gustafson) return x;
    const double seconds = model_seconds(law, c, p, compute);
    for (double& value : x) value *= -seconds * seconds / p;
    return x;
}

double scaled(FitScale scale, double seconds) { return scale == FitScale::log_time ? std::log(seconds) : 1 / seconds; }
double slope_of(FitScale scale, double seconds) {
    return scale == FitScale::log_time ? 1 / seconds : -1 / (seconds * seconds);
}

// Solves the rows and columns in `active` of A x = b by elimination with pivots; nothing where they are singular.
std::optional<Vector> solve(const Matrix& a, const Vector& b, unsigned active, size_t count) {
    std::vector<size_t> on;
    for (size_t j = 0; j < count; ++j)
        if ((active >> j & 1u) != 0) on.push_back(j);
    const size_t n = on.size();
    std::vector<std::vector<double>> rows(n, std::vector<double>(n + 1));
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) rows[i][j] = a[on[i]][on[j]];
        rows[i][n] = b[on[i]];
    }
    for (size_t i = 0; i < n; ++i) {
        size_t pivot = i;
        for (size_t r = i; r < n; ++r)
            if (std::abs(rows[r][i]) > std::abs(rows[pivot][i])) pivot = r;
        std::swap(rows[i], rows[pivot]);
        if (std::abs(rows[i][i]) < 1e-13 * std::abs(a[on[i]][on[i]])) return std::nullopt;
        for (size_t r = 0; r < n; ++r) {
            const double factor = r == i ? 0 : rows[r][i] / rows[i][i];
            for (size_t k = i; k <= n; ++k) rows[r][k] -= factor * rows[i][k];
        }
    }
    Vector x{};
    for (size_t i = 0; i < n; ++i) x[on[i]] = rows[i][n] / rows[i][i];
    return x;
}

struct Normal {
    Matrix a{};
    Vector b{};
    double at(const Vector& x) const {  // of the quadratic form, up to a constant
        double value = 0;
        for (size_t i = 0; i < most; ++i) {
            value -= 2 * b[i] * x[i];
            for (size_t j = 0; j < most; ++j) value += a[i][j] * x[i] * x[j];
        }
        return value;
    }
};

// The normal equations of the linearised problem around c, for c itself.
Normal linearised(Law law, FitScale scale, const std::vector<Observed>& points, const Vector& c) {
    Normal normal;
    for (const Observed& o : points) {
        const double seconds = model_seconds(law, c, o.cores, o.compute_seconds), slope = slope_of(scale, seconds);
        Vector x = gradient(law, c, o.cores, o.compute_seconds);
        double target = scaled(scale, o.seconds) - scaled(scale, seconds);
        for (size_t j = 0; j < most; ++j) {
            x[j] *= slope;
            target += x[j] * c[j];
        }
        for (size_t i = 0; i < most; ++i) {
            normal.b[i] += o.weight * x[i] * target;
            for (size_t j = 0; j < most; ++j) normal.a[i][j] += o.weight * x[i] * x[j];
        }
    }
    return normal;
}

Vector best_non_negative(const Normal& normal, size_t count, const Vector& otherwise) {
    Vector best = otherwise;
    double least = INFINITY;
    for (unsigned active = 1; active < 1u << count; ++active) {
        const auto x = solve(normal.a, normal.b, active, count);
        if (!x || std::any_of(x->begin(), x->end(), [](double value) { return value < 0; })) continue;
        if (const double value = normal.at(*x); value < least) least = value, best = *x;
    }
    return best;
}

// A start that every law can have: all of the time parallel.
Vector start_of(Law law, const std::vector<Observed>& points) {
    const Observed& first = points.front();
    switch (law) {
        case Law::usl: return {first.seconds * first.cores, 0, 0};
        case Law::gustafson: return {0, 1 / first.seconds, 0};
        case Law::step: return {1e-9 * first.seconds, 1e-9 * first.seconds, 0};
        default: return {0.01 * first.seconds, first.seconds * first.cores, 0};
    }
}

Matrix inverse_of(const Matrix& a, size_t count) {
    Matrix result{};
    for (size_t j = 0; j < count; ++j) {
        Vector unit{};
        unit[j] = 1;
        if (const auto column = solve(a, unit, (1u << count) - 1, count))
            for (size_t i = 0; i < count; ++i) result[i][j] = (*column)[i];
    }
    return result;
}

}  // namespace

size_t coefficients_of(Law law) { return law == Law::amdahl || law == Law::gustafson || law == Law::step ? 2 : 3; }

double model_seconds(Law law, const Vector& c, double p, double compute) {
    const Vector x = basis(law, p, compute);
    double linear = 0;
    for (size_t j = 0; j < most; ++j) linear += c[j] * x[j];
    if (law == Law::gustafson) return p / std::max(linear, 1e-300);
    return std::max(linear + (law == Law::step ? compute : 0), 1e-300);
}

double loss(Law law, FitScale scale, const std::vector<Observed>& points, const Vector& c) {
    double sum = 0;
    for (const Observed& o : points) {
        const double residual = scaled(scale, o.seconds) - scaled(scale, model_seconds(law, c, o.cores, o.compute_seconds));
        sum += o.weight * residual * residual;
    }
    return sum;
}

Vector minimise(Law law, FitScale scale, const std::vector<Observed>& points) {
    Vector c = start_of(law, points);
    double least = loss(law, scale, points, c);
    for (int iteration = 0; iteration < 60; ++iteration) {
        const Vector wanted = best_non_negative(linearised(law, scale, points, c), coefficients_of(law), c);
        double step = 1, now = INFINITY;
        Vector next = c;
        for (; step > 1e-4; step /= 2) {
            for (size_t j = 0; j < most; ++j) next[j] = c[j] + step * (wanted[j] - c[j]);
            if ((now = loss(law, scale, points, next)) <= least) break;
        }
        if (!(now <= least)) break;
        const bool done = least - now <= 1e-15 * least;
        c = next, least = now;
        if (done) break;
    }
    return c;
}

Matrix covariance_at(Law law, FitScale scale, const std::vector<Observed>& points, const Vector& c) {
    return inverse_of(linearised(law, scale, points, c).a, coefficients_of(law));
}

}  // namespace xbench::least_squares
