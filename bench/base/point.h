// One point of a sweep, which is one row of its scaling table: who trains, on how many ranks and threads, with which global
// batch (images).
#pragma once

#include <cstdint>
#include <string>

namespace xbench {

// What a point is going to be, or was. `oversubscribed` points run and are kept out of fits.
enum class PointStatus { ok, oversubscribed, not_run, failed };
const char* name_of(PointStatus status);
PointStatus status_from(const std::string& name);

struct Point {
    std::string trainer, device;
    int ranks = 1, threads = 1, stage = 0;
    int64_t global_batch = 0;
    PointStatus status = PointStatus::ok;  // as planned
    std::string reason;                    // of not_run and failed

    bool runs() const { return status == PointStatus::ok || status == PointStatus::oversubscribed; }
    int processors() const { return ranks * threads; }
    std::string id() const;  // "cpu_ddp-r2-t1", "sharded-cuda-r2-t1-s3"
};

}  // namespace xbench
