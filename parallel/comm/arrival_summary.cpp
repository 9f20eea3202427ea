// Each rank keeps its own times; what is compared goes through maxima and sums over the ranks.
#include "parallel/comm/arrival_summary.h"
#include "core/gather.h"

#include <algorithm>
#include <map>

namespace xbench {
namespace {

constexpr int meetings = 32;
constexpr uint32_t settling_steps = 5;                  // left out where there are ten times as many
constexpr size_t most_events = 40000, most_steps = 20;  // of the trace, over all ranks

bool on_one_node(const ControlPlane& communicator) {
    const std::vector<int> nodes = communicator.nodes();
    return std::all_of(nodes.begin(), nodes.end(), [&](int node) { return node == nodes.front(); });
}

// From this rank's clock to rank 0's.
class ToCommonClock {
public:
    ToCommonClock(const ClockOffset& before, const ClockOffset& after) : before_(before), after_(after) {}
    int64_t operator()(int64_t ns) const {
        const auto span = static_cast<double>(after_.at_ns - before_.at_ns);
        const double share = span > 0 ? static_cast<double>(ns - before_.at_ns) / span : 0;
        return ns - before_.offset_ns -
               static_cast<int64_t>(share * static_cast<double>(after_.offset_ns - before_.offset_ns));
    }

private:
    ClockOffset before_, after_;
};

// The calls that every rank has, of one track.
std::vector<LoggedCall> common_calls(const ArrivalTrack& track, const ToCommonClock& common, ControlPlane& communicator) {
    std::vector<LoggedCall> calls = track.calls();
    double least = -static_cast<double>(calls.size());
    communicator.all_reduce_max(&least, 1);
    calls.resize(static_cast<size_t>(-least));
    if (!calls.empty() && track.is_full()) {  // the last step may be there in part
        const uint32_t cut = calls.back().step;
        while (!calls.empty() && calls.back().step == cut) calls.pop_back();
    }
    for (LoggedCall& call : calls)
        for (int64_t* ns : {&call.arrived_ns, &call.resumed_ns, &call.done_ns}) *ns = common(*ns);
    return calls;
}

std::vector<LoggedCall> settled(const std::vector<LoggedCall>& calls) {
    if (calls.empty() || calls.back().step < calls.front().step + 10 * settling_steps) return calls;
    std::vector<LoggedCall> late;
    for (const LoggedCall& call : calls)
        if (call.step >= calls.front().step + settling_steps) late.push_back(call);
    return late;
}

// Milliseconds after `base`, of the last rank; and which rank that is, the lowest of several.
struct LastArrivals {
    std::vector<double> ms, rank;
};
LastArrivals last_arrivals(const std::vector<LoggedCall>& calls, int64_t base_ns, ControlPlane& communicator) {
    std::vector<double> own;
    for (const LoggedCall& call : calls) own.push_back(static_cast<double>(call.arrived_ns - base_ns) * 1e-6);
    LastArrivals last{own, std::vector<double>(own.size())};
    communicator.all_reduce_max(last.ms.data(), last.ms.size());
    for (size_t i = 0; i < own.size(); ++i) last.rank[i] = own[i] == last.ms[i] ? -communicator.rank() : -1e9;
    communicator.all_reduce_max(last.rank.data(), last.rank.size());
    for (double& rank : last.rank) rank = -rank;
    return last;
}

struct SiteSums {
    SiteDelays site;
    std::vector<double> waits;  // of this rank, by the rank that was last; then transfer
};

void add_call(SiteSums& sums, const LoggedCall& call, double last_ms, size_t last_rank, int64_t base_ns, size_t ranks) {
    if (sums.waits.empty()) {
        sums.site.site = call.site;
        sums.site.collective = call.collective;
        sums.site.bytes = call.bytes;
        sums.site.share_last.assign(ranks, 0);
        sums.waits.assign(ranks + 1, 0);
    }
    const double resumed = static_cast<double>(call.resumed_ns - base_ns) * 1e-6;
    const double done = static_cast<double>(call.done_ns - base_ns) * 1e-6;
    ++sums.site.steps;
    sums.site.share_last[last_rank] += 1;
    sums.waits[last_rank] += std::max(0.0, last_ms - resumed);
    sums.waits[ranks] += std::max(0.0, done - std::max(last_ms, resumed));
}

SiteDelays finished(SiteSums sums, size_t ranks) {
    SiteDelays site = std::move(sums.site);
    const auto steps = static_cast<double>(site.steps), others = static_cast<double>(std::max<size_t>(1, ranks - 1));
    for (size_t r = 0; r < ranks; ++r) {
        site.share_last[r] /= steps;
        site.delay_ms.push_back(sums.waits[r] / others / steps);
    }
    site.transfer_ms = sums.waits[ranks] / static_cast<double>(ranks) / steps;
    return site;
}

std::vector<SiteDelays> delays_of(const std::vector<LoggedCall>& calls, int track, int64_t base_ns,
                                  Communicator& communicator) {
    if (calls.empty()) return {};  // on every rank
    const auto ranks = static_cast<size_t>(communicator.size());
    const LastArrivals last = last_arrivals(calls, base_ns, communicator);
    std::map<uint32_t, SiteSums> sums;
    for (size_t i = 0; i < calls.size(); ++i)
        add_call(sums[calls[i].site], calls[i], last.ms[i], static_cast<size_t>(last.rank[i]), base_ns, ranks);
    std::vector<SiteDelays> sites;
    for (auto& [number, site] : sums) {
        communicator.all_reduce_sum(site.waits.data(), site.waits.size(), Reduction::fast);
        site.site.track = track;
        sites.push_back(finished(std::move(site), ranks));
    }
    return sites;
}

// One rank's part of the trace as plain numbers: counts first, so that the ranks' parts can be told apart.
struct TraceHead {
    uint64_t marks, calls;
};
struct TracedCall {
    int64_t track;
    LoggedCall call;
};

void append(std::vector<std::byte>& to, const std::vector<std::byte>& more) {
    to.insert(to.end(), more.begin(), more.end());
}

std::vector<RankTrace> parse_traces(const std::vector<std::byte>& all) {
    std::vector<RankTrace> traces;
    auto take = [&, at = size_t{0}](size_t bytes) mutable {
        const std::vector<std::byte> part(all.begin() + static_cast<std::ptrdiff_t>(at),
                                          all.begin() + static_cast<std::ptrdiff_t>(at + bytes));
        at += bytes;
        return part;
    };
    for (size_t left = all.size(); left > 0;) {
        const TraceHead head = values_of<TraceHead>(take(sizeof(TraceHead))).front();
        RankTrace& trace = traces.emplace_back();
        trace.marks = values_of<StepMarks>(take(head.marks * sizeof(StepMarks)));
        for (const TracedCall& one : values_of<TracedCall>(take(head.calls * sizeof(TracedCall))))
            trace.calls.emplace_back(static_cast<int>(one.track), one.call);
        left -= sizeof(TraceHead) + head.marks * sizeof(StepMarks) + head.calls * sizeof(TracedCall);
    }
    return traces;
}

// Of the first steps, as many as a trace of all ranks can hold.
std::vector<RankTrace> gather_traces(const ArrivalLog& log, const std::vector<std::vector<LoggedCall>>& tracks,
                                     const ToCommonClock& common, ControlPlane& communicator) {
    std::vector<StepMarks> marks = log.marks();
    size_t calls_a_step = 1;
    for (const auto& calls : tracks)
        for (const LoggedCall& call : calls) calls_a_step = std::max<size_t>(calls_a_step, (call.site + 1) * tracks.size());
    const size_t steps = std::max<size_t>(2, most_events / (static_cast<size_t>(communicator.size()) * (calls_a_step + 4)));
    marks.resize(std::min({marks.size(), steps, most_steps}));
    std::vector<TracedCall> calls;
    for (size_t t = 0; t < tracks.size(); ++t)
        for (const LoggedCall& call : tracks[t])
            if (!marks.empty() && call.step <= marks.back().step) calls.push_back({static_cast<int64_t>(t), call});
    for (StepMarks& mark : marks)
        for (int64_t* ns : {&mark.begin_ns, &mark.loaded_ns, &mark.computed_ns, &mark.end_ns}) *ns = common(*ns);
    std::vector<std::byte> mine = bytes_of(std::vector<TraceHead>{{marks.size(), calls.size()}});
    append(mine, bytes_of(marks));
    append(mine, bytes_of(calls));
    return parse_traces(communicator.all_gather_bytes(mine));
}

}  // namespace

size_t SiteDelays::last_most() const {
    return static_cast<size_t>(std::max_element(delay_ms.begin(), delay_ms.end()) - delay_ms.begin());
}

ClockOffset clock_offset(ControlPlane& communicator) {
    if (on_one_node(communicator)) return {ArrivalLog::now(), 0};
    std::vector<int64_t> left;
    for (int i = 0; i < meetings; ++i) {
        communicator.barrier();
        left.push_back(ArrivalLog::now());
    }
    const std::vector<int64_t> all = gather_values(communicator, left);
    std::vector<int64_t> differences;
    for (size_t i = 0; i < left.size(); ++i) differences.push_back(left[i] - all[i]);  // rank 0's come first
    std::nth_element(differences.begin(), differences.begin() + meetings / 2, differences.end());
    return {left.back(), differences[meetings / 2]};
}

ArrivalSummary summarise(const ArrivalLog& log, Communicator& communicator, const ClockOffset& before,
                         const ClockOffset& after) {
    ArrivalSummary summary;
    summary.clock = on_one_node(communicator) ? "one machine's" : "compared at barriers before and after the steps";
    const ToCommonClock common(before, after);
    const int64_t base_ns = gather_values(communicator, std::vector<int64_t>{common(before.at_ns)}).front();
    std::vector<std::vector<LoggedCall>> tracks;
    for (const ArrivalTrack& track : log.tracks()) {
        tracks.push_back(common_calls(track, common, communicator));
        const std::vector<LoggedCall> calls = settled(tracks.back());
        for (SiteDelays& site : delays_of(calls, static_cast<int>(tracks.size()) - 1, base_ns, communicator)) {
            summary.steps = std::max(summary.steps, site.steps);
            summary.sites.push_back(std::move(site));
        }
    }
    summary.trace = gather_traces(log, tracks, common, communicator);
    return summary;
}

}  // namespace xbench
