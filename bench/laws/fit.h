// Fitting laws to repeated times at several core counts, and rejecting those that the repeats contradict. The noise is what
// equal runs differ by (pure error), never what a law leaves over: a law is rejected at 5% where the medians of the points
// lie farther from it than that noise explains. All laws that are not rejected are kept, as several often explain one curve.
// Every law is linear in its coefficients, which are 0 or more: T(p) = sum c_j x_j(p).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace xbench {

// The runs of one core count: seconds of equal work (or of work that grows with the cores, of weak scaling).
struct TimedPoint {
    double cores = 1;
    std::vector<double> seconds;
    double compute_seconds = 0;  // a rank's share computed alone, for the step law; 0: not measured
};

enum class Law { amdahl, gustafson, usl, amdahl_communication, step };
const char* name_of(Law law);     // "Amdahl", "Amdahl + communication"
const char* formula_of(Law law);  // with the names of its parameters

// What residuals are of: relative times, for measured seconds; or absolute rates, as CRAN's package usl fits throughputs.
enum class FitScale { log_time, rate };

struct Parameter {
    std::string name;
    double value = 0, low = 0, high = 0;  // 95% by bootstrap; low = high = value where there was none
    double standard_error = 0;            // by the delta method
};

struct LawFit {
    Law law = Law::amdahl;
    std::vector<double> coefficients;  // c_j
    std::vector<Parameter> parameters;
    int core_counts = 0;
    double worst_relative_error = 0;  // of the medians
    double p_value = 1;               // of the lack of fit; 1 where there are no repeats or no degrees of freedom
    bool tested = false, rejected = false;
    double seconds(double cores, double compute_seconds = 0) const;
    // Whether it says what core counts that were not measured would take: the step law needs a rank's share computed there.
    bool predicts() const { return law != Law::step; }
};

inline constexpr int least_core_counts = 4;  // fewer show no law

// Nothing where the points have fewer than least_core_counts core counts, or as few as the law has coefficients.
// `bootstrap` resamples give the bounds; 0: none.
std::optional<LawFit> fit_law(Law law, std::span<const TimedPoint> points, FitScale scale = FitScale::log_time,
                              int bootstrap = 0, unsigned seed = 1);
// Amdahl, Amdahl + communication, USL and, where compute_seconds are given, the step law; of weak scaling Gustafson alone.
std::vector<LawFit> fit_laws(std::span<const TimedPoint> points, bool weak, int bootstrap = 400);

// The largest core count that a fit may be asked for: twice the largest that was measured.
double furthest_cores(std::span<const TimedPoint> points);

}  // namespace xbench
