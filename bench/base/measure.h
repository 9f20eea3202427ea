// The one timing function, and the statistics of repeated measurements.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace xbench {

// A median with its spread. From 6 values on the interval is the 95% confidence interval of the median by order statistics
// (no assumption on the distribution); with fewer it is their minimum and maximum, and says so. 95% is a floor: the level
// that order statistics of n values achieve is 96.9% for 6 and 96.1% for 9.
struct Interval {
    double median = 0, low = 0, high = 0;
    const char* kind = "range";  // "95%" | "range"
    double level = 0;            // what it achieves; of a range 0
};
// How often the r-th smallest and the r-th largest of n values enclose the median. r from 1 on.
double level_of_order_statistics(size_t n, size_t r);
std::string interval_name(const Interval& interval);  // "96.1% interval" | "min - max"

double median(std::vector<double> values);  // of an empty list: 0
Interval interval_of(std::vector<double> values);

// Whether a series of times has settled: the medians of its first and last quarter differ by at most `tolerance`.
bool is_steady(std::span<const int64_t> samples_ns, double tolerance = 0.10);

struct MeasureOptions {
    double warmup_seconds = 0.1;
    int warmup_calls = 2;  // at least
    double seconds = 1;    // budget of the timed calls
    int least_calls = 6, most_calls = 100000;
};

// Calls `work` until it is warm, then times each call with steady_clock until the budget is used up. Nanoseconds.
std::vector<int64_t> measure(const std::function<void()>& work, const MeasureOptions& options = {});

}  // namespace xbench
