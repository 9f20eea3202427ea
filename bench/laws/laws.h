// What a measured scaling curve says: speed-up, efficiency, Karp-Flatt's fraction, and the usual laws as formulas. Fits are
// in bench/laws/fit.h. Times are for the same work at every point (strong scaling), or for work that grows with N where a
// function says so.
#pragma once

#include <optional>

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

// Times of one all-reduce of n bytes by latency (seconds), seconds a byte, and seconds a byte added up; Thakur, Rabenseifner
// and Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19(1), 2005.
struct Link {
    double latency_seconds = 0, seconds_per_byte = 0, seconds_per_byte_added = 0;
};
double ring_seconds(const Link& link, double bytes, double ranks);
double recursive_doubling_seconds(const Link& link, double bytes, double ranks);
double rabenseifner_seconds(const Link& link, double bytes, double ranks);

// A step of data-parallel training: computing B/p images, the communication that the share `hidden` of the backward pass
// does not cover, and waiting for the slowest of p ranks.
double step_seconds(double compute_seconds, double backward_seconds, double communication_seconds, double hidden,
                    double jitter_seconds = 0);

}  // namespace xbench
