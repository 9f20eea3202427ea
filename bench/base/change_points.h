// Where a series of step times changes, and whether it comes to rest: change points by PELT (Killick, Fearnhead and Eckley,
// JASA 107(500), 2012) with the classes of Barrett, Bolz-Tereick, Killick, Mount and Tratt, "Virtual machine warmup blows
// hot and cold", OOPSLA 2017.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace xbench {

// The first index of each segment but the first. The cost of a segment is the sum of squares around its mean; each change
// costs `penalty`; no segment is shorter than `least_length`. The optimum of all segmentations.
std::vector<size_t> pelt(std::span<const double> values, double penalty, size_t least_length = 2);

enum class Warmup { flat, warm_up, slowdown, no_steady_state, inconsistent };
const char* name_of(Warmup warmup);

struct Segment {
    size_t begin = 0, end = 0;
    double level = 0;  // of its values: the median
};

struct WarmupReport {
    Warmup warmup = Warmup::flat;
    size_t steady_from = 0;         // the first step of the steady state; the number of steps where there is none
    std::vector<Segment> segments;  // levels in nanoseconds; neighbours that differ by less than 1% are one
};

// More than 2,000 steps are taken in blocks. Single spikes are cut off first (beyond three deviations of the running
// median), as no change is shorter than max(10, n/50) steps. Steps are autocorrelated: the penalty is 3 log n times the
// variance of means of ten steps (times ten), by A/A series of white and of autocorrelated noise, of which at most 5 in 100
// get a change point. warm-up: it ends at least 1% faster than it began, and no segment is faster; slowdown: it ends slower
// than its fastest; no steady state: the last tenth still changes.
WarmupReport classify_warmup(std::span<const int64_t> samples_ns);

// Of the processes of one point: the class that all have, else inconsistent.
Warmup warmup_of_all(const std::vector<Warmup>& processes);

}  // namespace xbench
