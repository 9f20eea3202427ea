// The formulas.
#include "bench/laws/laws.h"

#include <algorithm>
#include <cmath>

namespace xbench {

double speedup(double serial_seconds, double parallel_seconds) { return serial_seconds / parallel_seconds; }

double efficiency(double speedup, double processors) { return speedup / processors; }

std::optional<double> karp_flatt(double speedup, double processors) {
    if (processors <= 1 || speedup <= 0) return std::nullopt;
    return (1 / speedup - 1 / processors) / (1 - 1 / processors);
}

double amdahl_speedup(double serial_fraction, double processors) {
    return 1 / (serial_fraction + (1 - serial_fraction) / processors);
}

double gustafson_speedup(double serial_fraction, double processors) {
    return processors - serial_fraction * (processors - 1);
}

double usl_speedup(double contention, double coherency, double processors) {
    return processors / (1 + contention * (processors - 1) + coherency * processors * (processors - 1));
}

double ring_seconds(const Link& link, double bytes, double ranks) {
    return 2 * (ranks - 1) * link.latency_seconds + 2 * (ranks - 1) / ranks * bytes * link.seconds_per_byte +
           (ranks - 1) / ranks * bytes * link.seconds_per_byte_added;
}

double recursive_doubling_seconds(const Link& link, double bytes, double ranks) {
    return std::log2(ranks) * (link.latency_seconds + bytes * (link.seconds_per_byte + link.seconds_per_byte_added));
}

double rabenseifner_seconds(const Link& link, double bytes, double ranks) {
    return 2 * std::log2(ranks) * link.latency_seconds + 2 * (ranks - 1) / ranks * bytes * link.seconds_per_byte +
           (ranks - 1) / ranks * bytes * link.seconds_per_byte_added;
}

double step_seconds(double compute_seconds, double backward_seconds, double communication_seconds, double hidden,
                    double jitter_seconds) {
    return compute_seconds + std::max(0.0, communication_seconds - hidden * backward_seconds) + jitter_seconds;
}

}  // namespace xbench
