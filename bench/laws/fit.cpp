// Parameters as the field names them, the pure error of the repeats, tests and bounds. The minimum is least_squares.cpp's.
#include "bench/laws/fit.h"

#include <algorithm>
#include <cmath>

#include "bench/base/compare.h"
#include "bench/base/distributions.h"
#include "bench/base/measure.h"
#include "bench/laws/least_squares.h"
#include "core/rng.h"

namespace xbench {
namespace {

using namespace least_squares;

// ---- parameters as the field names them -------------------------------------------------------------------------

std::vector<Parameter> named_parameters(Law law, const Vector& c) {
    const double whole = c[0] + c[1];
    switch (law) {
        case Law::amdahl: return {{"T1", whole}, {"s", c[0] / whole}};
        case Law::gustafson: return {{"X1", whole}, {"s", c[0] / whole}};
        case Law::usl: return {{"gamma", 1 / c[0]}, {"alpha", c[1] / c[0]}, {"beta", c[2] / c[0]}};
        case Law::amdahl_communication: return {{"T1", whole}, {"s", c[0] / whole}, {"c", c[2]}};
        case Law::step: break;
    }
    return {{"latency", c[0]}, {"transfer", c[1]}};
}

// By the delta method, with derivatives by differences.
void add_standard_errors(Law law, const Matrix& covariance, const Vector& c, std::vector<Parameter>& parameters) {
    const size_t count = coefficients_of(law);
    std::vector<Vector> slopes(parameters.size(), Vector{});
    for (size_t j = 0; j < count; ++j) {
        const double h = 1e-6 * std::max(std::abs(c[j]), 1e-9 * (c[0] + c[1]));
        Vector up = c, down = c;
        up[j] += h, down[j] -= h;
        const std::vector<Parameter> above = named_parameters(law, up), below = named_parameters(law, down);
        for (size_t i = 0; i < parameters.size(); ++i) slopes[i][j] = (above[i].value - below[i].value) / (2 * h);
    }
    for (size_t i = 0; i < parameters.size(); ++i) {
        double variance = 0;
        for (size_t j = 0; j < count; ++j)
            for (size_t k = 0; k < count; ++k) variance += slopes[i][j] * covariance[j][k] * slopes[i][k];
        parameters[i].standard_error = std::sqrt(std::max(0.0, variance));
    }
}

// ---- pure error -----------------------------------------------------------------------------------------------------

struct PureError {
    double variance = 0;  // of one log time
    double degrees = 0;
    std::vector<double> residuals;  // of log times from their point's mean, at the scale of one run
};

PureError pure_error(std::span<const TimedPoint> points) {
    PureError error;
    double squares = 0;
    for (const TimedPoint& point : points) {
        const auto n = static_cast<double>(point.seconds.size());
        if (n < 2) continue;
        double mean = 0;
        for (const double t : point.seconds) mean += std::log(t) / n;
        for (const double t : point.seconds) {
            squares += (std::log(t) - mean) * (std::log(t) - mean);
            error.residuals.push_back((std::log(t) - mean) * std::sqrt(n / (n - 1)));
        }
        error.degrees += n - 1;
    }
    if (error.degrees > 0) error.variance = squares / error.degrees;
    return error;
}

std::vector<Observed> observed(std::span<const TimedPoint> points, FitScale scale) {
    std::vector<Observed> all;
    for (const TimedPoint& point : points) {
        Observed o{point.cores, point.compute_seconds, median(point.seconds), 1};
        if (scale == FitScale::log_time) o.weight = 1 / median_variance(point.seconds.size());
        all.push_back(o);
    }
    return all;
}

// Around the fitted law: runs drawn from all residuals, their medians fitted again, and the middle 95% of what comes out.
void add_bounds(LawFit& fit, const Vector& c, std::vector<Observed> points, std::span<const TimedPoint> runs,
                const PureError& error, int resamples, unsigned seed) {
    if (error.residuals.empty() || resamples <= 0) return;
    Random random(seed, RandomUse::bootstrap, static_cast<uint32_t>(fit.law));
    std::vector<std::vector<double>> drawn(fit.parameters.size());
    for (int r = 0; r < resamples; ++r) {
        for (size_t i = 0; i < points.size(); ++i) {
            std::vector<double> noise(runs[i].seconds.size());
            for (double& value : noise) value = error.residuals[random.below(static_cast<uint32_t>(error.residuals.size()))];
            points[i].seconds =
                model_seconds(fit.law, c, points[i].cores, points[i].compute_seconds) * std::exp(median(noise));
        }
        const std::vector<Parameter> again = named_parameters(fit.law, minimise(fit.law, FitScale::log_time, points));
        for (size_t k = 0; k < again.size(); ++k) drawn[k].push_back(again[k].value);
    }
    for (size_t k = 0; k < drawn.size(); ++k) {
        std::sort(drawn[k].begin(), drawn[k].end());
        const auto at = [&](double share) {
            return drawn[k][static_cast<size_t>(share * static_cast<double>(resamples - 1) + 0.5)];
        };
        fit.parameters[k].low = at(0.025);
        fit.parameters[k].high = at(0.975);
    }
}

void test_lack_of_fit(LawFit& fit, const std::vector<Observed>& points, const PureError& error, const Vector& c) {
    const double degrees = static_cast<double>(points.size() - coefficients_of(fit.law));
    if (degrees <= 0 || error.degrees <= 0 || error.variance <= 0) return;
    fit.p_value = f_tail(loss(fit.law, FitScale::log_time, points, c) / error.variance / degrees, degrees, error.degrees);
    fit.tested = true;
    fit.rejected = fit.p_value < 0.05;
}

}  // namespace

const char* name_of(Law law) {
    constexpr const char* names[] = {"Amdahl", "Gustafson", "USL", "Amdahl + communication", "step law"};
    return names[static_cast<int>(law)];
}

const char* formula_of(Law law) {
    constexpr const char* formulas[] = {"T1 (s + (1-s)/p)", "X1 (p - s (p-1))", "gamma p / (1 + alpha (p-1) + beta p (p-1))",
                                        "T1 (s + (1-s)/p) + c log2 p", "f(B/p) + 2 (p-1) latency + 2 (p-1)/p transfer"};
    return formulas[static_cast<int>(law)];
}

double LawFit::seconds(double cores, double compute_seconds) const {
    Vector c{};
    std::copy(coefficients.begin(), coefficients.end(), c.begin());
    return model_seconds(law, c, cores, compute_seconds);
}

std::optional<LawFit> fit_law(Law law, std::span<const TimedPoint> points, FitScale scale, int bootstrap, unsigned seed) {
    if (points.size() < static_cast<size_t>(least_core_counts) || points.size() <= coefficients_of(law)) return std::nullopt;
    const std::vector<Observed> medians = observed(points, scale);
    const Vector c = minimise(law, scale, medians);
    LawFit fit;
    fit.law = law;
    fit.core_counts = static_cast<int>(points.size());
    fit.coefficients.assign(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(coefficients_of(law)));
    fit.parameters = named_parameters(law, c);
    for (const Observed& o : medians)
        fit.worst_relative_error =
            std::max(fit.worst_relative_error, std::abs(model_seconds(law, c, o.cores, o.compute_seconds) / o.seconds - 1));
    const PureError error = pure_error(points);
    const double degrees = static_cast<double>(points.size() - coefficients_of(law));
    const double variance =
        scale == FitScale::log_time && error.degrees > 0 ? error.variance : loss(law, scale, medians, c) / degrees;
    Matrix covariance = covariance_at(law, scale, medians, c);
    for (Vector& row : covariance)
        for (double& value : row) value *= variance;
    add_standard_errors(law, covariance, c, fit.parameters);
    for (Parameter& parameter : fit.parameters) parameter.low = parameter.high = parameter.value;
    if (scale == FitScale::rate) return fit;
    test_lack_of_fit(fit, medians, error, c);
    add_bounds(fit, c, medians, points, error, bootstrap, seed);
    return fit;
}

std::vector<LawFit> fit_laws(std::span<const TimedPoint> points, bool weak, int bootstrap) {
    std::vector<Law> laws{Law::amdahl, Law::amdahl_communication, Law::usl};
    if (weak) laws = {Law::gustafson};
    const bool computed =
        std::all_of(points.begin(), points.end(), [](const TimedPoint& point) { return point.compute_seconds > 0; });
    if (computed && !weak) laws.push_back(Law::step);
    std::vector<LawFit> fits;
    for (const Law law : laws)
        if (auto fit = fit_law(law, points, FitScale::log_time, bootstrap)) fits.push_back(std::move(*fit));
    return fits;
}

double furthest_cores(std::span<const TimedPoint> points) {
    double largest = 0;
    for (const TimedPoint& point : points) largest = std::max(largest, point.cores);
    return 2 * largest;
}

}  // namespace xbench
