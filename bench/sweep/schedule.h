// What a sweep runs, and in which order. A block is one repeat of every row and every probe. Within a block the order is
// drawn at random, so that a drift of the machine meets all alike and no run always follows the same other one. The draw
// depends on the seed, the repeat and the run's own name alone: a sweep that is resumed, or gets more rows, goes on in the
// same order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/sweep/points.h"

namespace xbench {

// A run that explains rows and is never one: its records have kind "probe", params.probe = id and params.point = row.
struct Probe {
    std::string id;                     // "serial-b16-t1-x2": of its records and its folder
    std::string row;                    // the point it belongs to; empty: to several
    Point point;                        // what is trained; its own status does not matter
    int copies = 1;                     // such processes at once, each on cores of its own; params.copy counts from 0
    std::vector<std::string> settings;  // "train.epochs=1", behind the sweep's configuration
};

struct ScheduledRun {
    size_t point = no_point;  // of the list of points; no_point: a probe that belongs to no row
    int64_t repeat = 1;       // from 1: its block
    std::string probe;        // empty: a repeat of a row

    static constexpr size_t no_point = static_cast<size_t>(-1);
    bool operator==(const ScheduledRun&) const = default;
};

// All points, whether they can run or not, and all probes, once.
std::vector<ScheduledRun> schedule_block(std::span<const Point> points, int64_t repeat, uint64_t seed,
                                         std::span<const Probe> probes = {});
// Blocks 1 to `repeats`.
std::vector<ScheduledRun> schedule_runs(std::span<const Point> points, int64_t repeats, uint64_t seed,
                                        std::span<const Probe> probes = {});

}  // namespace xbench
