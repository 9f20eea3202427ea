// Traces and tables of arrivals.
#include "bench/runs/arrival_files.h"

#include <fmt/format.h>

#include <algorithm>

namespace xbench {
namespace {

constexpr size_t steps_of_group = 64, most_groups = 200;

int64_t first_begin(const ArrivalSummary& summary) {
    int64_t first = INT64_MAX;
    for (const RankTrace& rank : summary.trace)
        for (const StepMarks& mark : rank.marks) first = std::min(first, mark.begin_ns);
    return first == INT64_MAX ? 0 : first;
}

double us_between(int64_t from, int64_t to) { return static_cast<double>(to - from) * 1e-3; }

Json name_event(const char* what, int rank, int thread, const std::string& name) {
    return Json{{"ph", "M"}, {"name", what}, {"pid", rank}, {"tid", thread}, {"args", Json{{"name", name}}}};
}

class TraceWriter {
public:
    explicit TraceWriter(int64_t base_ns) : base_ns_(base_ns) {}
    void rank(int rank, const RankTrace& trace) {
        rank_ = rank;
        events_.push_back(name_event("process_name", rank, 0, fmt::format("rank {}", rank)));
        events_.push_back(name_event("thread_name", rank, 0, "computing"));
        int threads = 0;
        for (const auto& [track, call] : trace.calls) threads = std::max(threads, track);
        for (int t = 1; t <= threads; ++t) events_.push_back(name_event("thread_name", rank, t, "communication"));
        for (const StepMarks& mark : trace.marks) step(mark);
        for (const auto& [track, call] : trace.calls) collective(track, call);
    }
    Json take() { return std::move(events_); }

private:
    void step(const StepMarks& mark) {
        slice("step", fmt::format("step {}", mark.step), 0, mark.step, mark.begin_ns, mark.end_ns);
        slice("loader", "loader", 0, mark.step, mark.begin_ns, mark.loaded_ns);
        slice("compute", "compute", 0, mark.step, mark.loaded_ns, mark.computed_ns);
        slice("optimizer", "optimizer", 0, mark.step, mark.computed_ns, mark.end_ns);
    }
    void collective(int track, const LoggedCall& call) {
        Json& event = slice("collective", fmt::format("{} {}", name_of(call.collective), call.site), track, call.step,
                            call.resumed_ns, call.done_ns);
        event["args"]["bytes"] = call.bytes;
        event["args"]["site"] = call.site;
        event["args"]["arrived_us"] = us_between(base_ns_, call.arrived_ns);
    }
    Json& slice(const char* category, const std::string& name, int thread, uint32_t step, int64_t from, int64_t to) {
        events_.push_back(Json{{"ph", "X"},
                               {"cat", category},
                               {"name", name},
                               {"pid", rank_},
                               {"tid", thread},
                               {"ts", us_between(base_ns_, from)},
                               {"dur", us_between(from, to)},
                               {"args", Json{{"step", step}}}});
        return events_.back();
    }
    const int64_t base_ns_;
    int rank_ = 0;
    Json events_ = Json::array();
};

double median_of(std::vector<int64_t> values) { return median({values.begin(), values.end()}); }

}  // namespace

Json delays_json(const ArrivalSummary& summary) {
    Json delays = Json::array();
    for (size_t i = 0; i < summary.sites.size(); ++i) {
        const SiteDelays& site = summary.sites[i];
        const size_t rank = site.last_most();
        double wait = 0;
        for (const double delay : site.delay_ms) wait += delay;
        delays.push_back(Json{{"bucket", i},
                              {"collective", name_of(site.collective)},
                              {"bytes", site.bytes},
                              {"thread", site.track},
                              {"rank", rank},
                              {"share_last", site.share_last[rank]},
                              {"delay_ms", site.delay_ms[rank]},
                              {"wait_ms", wait},
                              {"transfer_ms", site.transfer_ms},
                              {"steps", site.steps}});
    }
    return delays;
}

Json trace_json(const ArrivalSummary& summary) {
    TraceWriter writer(first_begin(summary));
    for (size_t rank = 0; rank < summary.trace.size(); ++rank) writer.rank(static_cast<int>(rank), summary.trace[rank]);
    return Json{{"displayTimeUnit", "ms"},
                {"otherData", Json{{"schema", "xbench.trace/1"}, {"clock", summary.clock}}},
                {"traceEvents", writer.take()}};
}

std::string arrivals_csv(const ArrivalSummary& summary) {
    std::string text = "step,track,site,collective,bytes,rank,arrived_us,resumed_us,done_us\n";
    const int64_t base = first_begin(summary);
    for (size_t rank = 0; rank < summary.trace.size(); ++rank)
        for (const auto& [track, call] : summary.trace[rank].calls)
            text += fmt::format("{},{},{},{},{},{},{:.3f},{:.3f},{:.3f}\n", call.step, track, call.site,
                                name_of(call.collective), call.bytes, rank, us_between(base, call.arrived_ns),
                                us_between(base, call.resumed_ns), us_between(base, call.done_ns));
    return text;
}

std::optional<LoggingCost> logging_cost(const std::vector<int64_t>& step_ns, const std::vector<int64_t>& step_images,
                                        uint32_t first_step) {
    if (step_images.empty() || step_images.size() != step_ns.size()) return std::nullopt;
    const int64_t whole = *std::max_element(step_images.begin(), step_images.end());
    const size_t group = std::max(steps_of_group, step_ns.size() / most_groups);
    std::vector<double> differences, medians;
    LoggingCost cost;
    for (size_t begin = 0; begin + group <= step_ns.size(); begin += group) {
        std::vector<int64_t> logged, plain;
        for (size_t i = begin; i < begin + group; ++i)
            if (step_images[i] == whole)
                (ArrivalLog::is_logged(ArrivalLog::When::alternate, first_step + static_cast<uint32_t>(i)) ? logged : plain)
                    .push_back(step_ns[i]);
        if (logged.size() < 8 || plain.size() < 8) continue;
        differences.push_back((median_of(logged) - median_of(plain)) * 1e-3);
        medians.push_back(median_of(plain) * 1e-3);
        cost.steps += static_cast<int64_t>(logged.size() + plain.size());
    }
    if (differences.size() < 6) return std::nullopt;
    cost.us = interval_of(differences);
    cost.share_of_step = cost.us.median / median(medians);
    return cost;
}

Json to_json(const LoggingCost& cost) {
    return Json{{"us", cost.us.median},   {"low_us", cost.us.low}, {"high_us", cost.us.high},
                {"level", cost.us.level}, {"steps", cost.steps},   {"share_of_step", cost.share_of_step}};
}

}  // namespace xbench
