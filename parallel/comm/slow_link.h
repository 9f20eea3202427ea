// A slow network for tests and experiments: a communicator whose collectives take as long as their bytes would need on a
// link of a given rate. The calling thread sleeps meanwhile, as it would while a network card works. It spins for the last
// 100 us, except on a channel, whose caller shares its core with a thread that computes.
//
// A collective ends no sooner than latency + sent / rate after it began. `sent` is the least that each rank has to send:
// 2 (n-1)/n of the buffer for an all-reduce, (n-1)/n for a reduce-scatter or an all-gather, and all of it otherwise.
// Channels do not slow each other down.
#pragma once

#include <memory>

#include "core/communicator.h"

namespace xbench {

struct LinkSpeed {
    double bytes_per_second = 0;  // 0: no limit
    double latency_seconds = 0;
};

std::unique_ptr<Communicator> make_slow_link(std::unique_ptr<Communicator> inner, LinkSpeed speed);

}  // namespace xbench
