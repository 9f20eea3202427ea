// Records of a sweep with probes whose factors are known: one row on two ranks, whose times are what a test says.
#pragma once

#include <string>
#include <vector>

#include "bench/base/point.h"
#include "bench/base/record.h"

namespace xbench::test {

inline Point point(const std::string& trainer, int ranks, int threads, int64_t batch = 64) {
    Point p;
    p.trainer = trainer;
    p.device = "cpu";
    p.ranks = ranks;
    p.threads = threads;
    p.stage = trainer == "sharded" ? 2 : 0;
    p.global_batch = batch;
    return p;
}

// The times of a step of 64 images on two ranks of one thread, in milliseconds; nothing is lost.
struct Truth {
    double serial = 64, small = 32, together = 32;
    std::vector<double> useful{32, 32};
    double slowest = 32, arrivals = 32, preloaded = 32, job = 32;
};

inline Record record_of(const std::string& kind, const std::string& id, int64_t rep, double batch, double step_ms) {
    Record record;
    record.kind = kind;
    record.rep = rep;
    record.value = batch * 1e3 / step_ms;
    record.unit = "images/s";
    record.params = Json{{kind == "rep" ? "point" : "probe", id}};
    record.counters = Json{{"step_ms", step_ms},
                           {"images_trained", 4000},
                           {"test_images", 100},
                           {"steps", 63},
                           {"train_seconds", 4000 / record.value}};
    record.weights_hash = kind == "rep" ? "00" : "";
    return record;
}

inline void append_repetition(std::vector<Record>& records, const Truth& truth, int64_t rep, double slower = 1) {
    records.push_back(record_of("rep", "serial-r1-t1", rep, 64, slower * truth.serial));
    records.push_back(record_of("probe", "serial-t1-b32-v4", rep, 32, slower * truth.small));
    for (int copy = 0; copy < 2; ++copy)
        records.push_back(record_of("probe", "serial-t1-b32-v4-x2", rep, 32, slower * truth.together));
    records.push_back(record_of("probe", "cpu_ddp-r2-t1-arrivals", rep, 64, slower * truth.arrivals));
    records.push_back(record_of("probe", "cpu_ddp-r2-t1-preloaded", rep, 64, slower * truth.preloaded));
    Record job = record_of("rep", "cpu_ddp-r2-t1", rep, 64, slower * truth.job);
    job.params.update(Json{{"trainer", "cpu_ddp"}, {"device", "cpu"}, {"ranks", 2}, {"threads", 1}, {"global_batch", 64}});
    job.counters["useful_ms"] = Json::array();
    for (const double ms : truth.useful) job.counters["useful_ms"].push_back(slower * ms);
    job.counters["useful_slowest_ms"] = slower * truth.slowest;
    job.per_rank = Json::array({Json{{"rank", 0}, {"host", "a"}}, Json{{"rank", 1}, {"host", "a"}}});
    records.push_back(job);
}

inline std::vector<Record> records_of(const Truth& truth, int repetitions = 5) {
    std::vector<Record> records;
    for (int rep = 1; rep <= repetitions; ++rep) append_repetition(records, truth, rep, 1 + 0.1 * rep);
    return records;
}

inline const std::vector<Point> two_rows{point("serial", 1, 1), point("cpu_ddp", 2, 1)};

}  // namespace xbench::test
