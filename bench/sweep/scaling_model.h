// What a measured scaling curve says: speed-up, efficiency, and the parameters of the usual models fitted to it.
// Times are for the same work at every point (strong scaling), or for work that grows with N where a function says so.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace xbench {

// T_serial / T_N, of equal work. Under weak scaling the ratio of images a second instead.
double speedup(double serial_seconds, double parallel_seconds);

// Speed-up per processor used: T_serial / (N * T_N), N in multiples of the baseline's. 1 is perfect; above 1 is
// "superlinear" and wants an explanation.
double efficiency(double speedup, double processors);

// Experimentally determined serial fraction e = (1/S - 1/N) / (1 - 1/N).
// Karp and Flatt, "Measuring parallel processor performance", Communications of the ACM 33(5), 1990.
// Constant over N: a serial part; rising with N: overhead that grows. Undefined (none) at N = 1 and below.
std::optional<double> karp_flatt(double speedup, double processors);

// Amdahl's speed-up at N for a serial fraction: 1 / (f + (1-f)/N). Amdahl, AFIPS 1967.
double amdahl_speedup(double serial_fraction, double processors);
// Gustafson's scaled speed-up: N - f (N-1). Gustafson, "Reevaluating Amdahl's law", CACM 31(5), 1988.
double gustafson_speedup(double serial_fraction, double processors);
// Gunther's Universal Scalability Law: N / (1 + a (N-1) + b N (N-1)), a contention, b coherency.
// Gunther, "Guerrilla Capacity Planning", Springer 2007, chapter 4.
double usl_speedup(double contention, double coherency, double processors);

struct ScalingPoint {
    double processors = 1, speedup = 1;
    double standard_error = 0;  // of the speed-up, relative to it; 0: not known
};

struct ScalingFit {
    double serial_fraction = 0;       // of Amdahl and Gustafson; in USL the contention
    double coherency = 0;             // USL only
    double worst_relative_error = 0;  // largest |predicted - measured| / measured over the points
    int points = 0;                   // with N > 1
    bool rejected = false;            // the points contradict it (scaling_rules.h)
};

// Least squares on 1/S, which is linear in f: 1/S - 1/N = f (1 - 1/N). f is kept in [0, 1]. None without a point N > 1.
std::optional<ScalingFit> fit_amdahl(const std::vector<ScalingPoint>& points);
// Least squares on S, linear in f: N - S = f (N - 1).
std::optional<ScalingFit> fit_gustafson(const std::vector<ScalingPoint>& points);
// Least squares on N/S - 1 = a (N-1) + b N (N-1), both kept at 0 or above. None with fewer than 3 points N > 1.
std::optional<ScalingFit> fit_usl(const std::vector<ScalingPoint>& points);

}  // namespace xbench
