// Which runs of a sweep measure the times of a row's chain: rows themselves where they are what is wanted, else probes,
// which rows share where they need the same. The chain goes from the serial program to the row in steps that change one
// thing each.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "bench/base/point.h"
#include "core/config.h"

namespace xbench {

// A row, or a probe.
struct ChainRun {
    std::string id;  // Point::id, or the probe's
    bool is_probe = true;
    std::string row;                    // of a probe that no other row can use
    Point point;                        // what trains
    int copies = 1;                     // at once
    std::vector<std::string> settings;  // of a probe, behind the sweep's configuration
};

// Of a row with P ranks of t threads and a global batch of B images, b = B / P. Under weak scaling B has grown with P, so b
// is the base's batch.
struct Chain {
    ChainRun serial;      // one thread, the base's batch
    ChainRun small;       // one thread, batch b
    ChainRun threaded;    // t threads, batch b
    ChainRun together;    // P such copies at once
    ChainRun arrivals;    // the row, whose ranks wait for each other but move no data; batches in memory
    ChainRun preloaded;   // the row, batches in memory
    std::string why_not;  // there are no factors for this row

    std::vector<const ChainRun*> runs() const;
};
Chain chain_of(const Config& config, std::span<const Point> rows, const Point& row);

}  // namespace xbench
