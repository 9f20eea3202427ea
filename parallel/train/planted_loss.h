// Losses that are planted into a training, to prove that the factors of a scaling table (docs/factors.md) find them. They
// come from the environment variable XBENCH_PLANT, "KEY=VALUE" separated by spaces, and stand in the record of the run; no
// configuration asks for them. Times are milliseconds of a step.
//
//   delay=0,2    rank r of a job with several ranks computes so much longer
//   rotate=1     the delays move on by one rank in each step
//   step=0.5     every step of every run computes so much longer, whatever its batch
//   starve=12    each batch of a job with several ranks takes the loader so much longer
//   hog=0.2      where several processes train, a thread on each one's cores streams through memory this share of the time
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace xbench {

struct PlantedLoss {
    std::vector<double> delay_ms;  // by rank; empty: none
    bool rotate = false;
    double step_ms = 0, starve_ms = 0, hog_share = 0;

    // By how much longer this rank computes in this step (counted from 0).
    double delay_of(int rank, int ranks, uint32_t step) const;
};

std::string planted_text();   // of the environment; empty: nothing is planted
PlantedLoss planted_loss();   // the same, read; throws UsageError
void compute_for(double ms);  // keeps the calling core busy

// As long as it lives; a share of 0 starts nothing.
class MemoryHog {
public:
    explicit MemoryHog(double share);
    ~MemoryHog();
    MemoryHog(const MemoryHog&) = delete;
    MemoryHog& operator=(const MemoryHog&) = delete;

private:
    void run(double share);
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace xbench
