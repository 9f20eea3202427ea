// Collectives, timed and checked: how fast buffers of each size are summed, scattered, gathered and sent over the ranks.
// Columns and bandwidths are those of nccl-tests (its doc/PERFORMANCE.md): algbw is bytes / time. busbw multiplies it by
// 2 (n-1)/n for all_reduce, by (n-1)/n for reduce_scatter and all_gather, and by 1 for the others, so that it can be
// compared with the speed of the link itself, whatever the number of ranks n.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "core/json.h"
#include "kernels/device.h"

namespace xbench {

// One way of talking: a communicator and how it sums. The first of a list is the yardstick's numerator.
struct Transport {
    std::string name;  // "shm", "mpi tree", "mpi"
    Communicator* communicator;
    Reduction reduction;
    // Whose memory the buffers lie in, and between whose events calls are timed; null: the host. On the emulated GPU of the
    // tests results are checked and nothing is timed.
    Device* device = nullptr;
};

struct CommSuiteOptions {
    uint64_t begin_bytes = 1 << 10, end_bytes = 64 << 20;
    double factor = 2;
    std::vector<std::string> operations;  // empty: all of comm_operations()
    int rounds = 7;                       // over all transports in turn
    double seconds = 0.02;                // of one transport in one round, at least
};

struct CommTiming {
    std::string operation, transport;
    uint64_t bytes = 0, count = 0;
    int ranks = 1;
    double microseconds = 0, low = 0, high = 0;  // of one call on the slowest rank: median over the rounds, and their range
    double algbw = 0, busbw = 0;                 // GB/s of 1e9
    bool emulated = false;                       // not timed
    uint64_t wrong = 0;                          // elements that differ from the exact result, over all ranks
};

std::vector<std::string> comm_operations();  // all_reduce, reduce_scatter, all_gather, broadcast, sendrecv
std::vector<uint64_t> comm_sizes(const CommSuiteOptions& options);

// Collective over all transports, which must have the same ranks. `done` is called on every rank after each size of an
// operation with that size's timings, which are equal on all ranks.
void run_comm_suite(const std::vector<Transport>& transports, const CommSuiteOptions& options,
                    const std::function<void(const std::vector<CommTiming>&)>& done);

double bus_factor(const std::string& operation, int ranks);
// "1K" -> 1024; also plain numbers, M and G. Throws UsageError.
uint64_t parse_bytes(const std::string& text);

std::string comm_table_head(const std::string& operation, const std::vector<Transport>& transports, int ranks);
std::string comm_table_row(const std::vector<CommTiming>& timings);
Json to_json(const CommTiming& timing);

}  // namespace xbench
