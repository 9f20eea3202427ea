// What the runs of a sweep have taken, what those to come will take, and how many blocks fit into a budget. Seconds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace xbench {

class RunTimes {
public:
    void add(const std::string& run, double seconds);
    void expect(const std::string& run, double seconds);  // what holds until it has run
    // The mean of what it took; else what was expected of it; else the mean of all runs that ended; else not known.
    std::optional<double> of(const std::string& run) const;
    std::optional<double> of_all(const std::vector<std::string>& runs) const;  // their sum; not known where one is not
    double spent() const { return spent_; }

private:
    std::map<std::string, std::vector<double>> taken_;
    std::map<std::string, double> expected_;
    double spent_ = 0;
    int64_t ended_ = 0;
};

// Whole blocks that a budget allows, those already made among them: at least one, at most most_blocks.
inline constexpr int64_t most_blocks = 1000;
int64_t blocks_in_budget(double budget_seconds, double spent_seconds, int64_t made, double block_seconds);

// ", FEWER than the 9 repeats asked for", or "".
std::string fewer_text(int64_t blocks, int64_t asked);

// "27 runs: 9 blocks of 3; about 4 min 30 s"; without a time where it is not known.
std::string price_text(int64_t runs, int64_t blocks, std::optional<double> seconds);

}  // namespace xbench
