// Means of past runs, and their sums.
#include "bench/sweep/price.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/progress.h"

namespace xbench {

void RunTimes::add(const std::string& run, double seconds) {
    taken_[run].push_back(seconds);
    spent_ += seconds;
    ++ended_;
}

void RunTimes::expect(const std::string& run, double seconds) { expected_[run] = seconds; }

std::optional<double> RunTimes::of(const std::string& run) const {
    if (const auto taken = taken_.find(run); taken != taken_.end())
        return std::accumulate(taken->second.begin(), taken->second.end(), 0.0) / static_cast<double>(taken->second.size());
    if (const auto expected = expected_.find(run); expected != expected_.end()) return expected->second;
    if (ended_ == 0) return std::nullopt;
    return spent_ / static_cast<double>(ended_);
}

std::optional<double> RunTimes::of_all(const std::vector<std::string>& runs) const {
    double sum = 0;
    for (const std::string& run : runs) {
        const std::optional<double> seconds = of(run);
        if (!seconds) return std::nullopt;
        sum += *seconds;
    }
    return sum;
}

int64_t blocks_in_budget(double budget_seconds, double spent_seconds, int64_t made, double block_seconds) {
    if (block_seconds <= 0) return std::clamp<int64_t>(made, 1, most_blocks);
    const double more = std::floor((budget_seconds - spent_seconds) / block_seconds);
    const double blocks = static_cast<double>(made) + std::clamp(more, 0.0, static_cast<double>(most_blocks));
    return std::clamp<int64_t>(static_cast<int64_t>(blocks), 1, most_blocks);
}

std::string fewer_text(int64_t blocks, int64_t asked) {
    return blocks < asked ? fmt::format(", FEWER than the {} repeats asked for", asked) : "";
}

std::string price_text(int64_t runs, int64_t blocks, std::optional<double> seconds) {
    const std::string each = blocks > 0 && runs % blocks == 0 ? fmt::format(" of {}", runs / blocks) : "";
    return fmt::format("{} run{}: {} block{}{}{}", runs, runs == 1 ? "" : "s", blocks, blocks == 1 ? "" : "s", each,
                       seconds ? "; about " + duration_text(*seconds) : "");
}

}  // namespace xbench
