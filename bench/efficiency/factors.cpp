// From the records of a sweep to the factors of its rows. Every time is that of one step of the row: what another run needs
// for as many images.
#include "bench/efficiency/factors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "bench/base/measure.h"
#include "bench/base/text_table.h"
#include "bench/efficiency/chain.h"
#include "bench/efficiency/levels.h"
#include "core/json_member.h"

namespace xbench {
namespace {

std::optional<double> positive_in(const Json& object, const char* key) {
    const std::optional<double> value = number_in(object, key);
    return value && std::isfinite(*value) && *value > 0 ? value : std::nullopt;
}

// The records of a sweep by run and repetition; copies that ran at once together.
class Runs {
public:
    explicit Runs(std::span<const Record> records) {
        for (const Record& record : records) {
            if (record.kind == "probe") probes_[text_in(record.params, "probe")][record.rep].push_back(&record);
            if (record.kind == "rep") rows_[text_in(record.params, "point")][record.rep].push_back(&record);
        }
    }
    bool has_probes() const { return !probes_.empty(); }
    // Of all its copies, or none.
    std::vector<const Record*> of(const ChainRun& run, int64_t repetition) const {
        const auto& runs = run.is_probe ? probes_ : rows_;
        const auto found = runs.find(run.id);
        if (found == runs.end() || !found->second.contains(repetition)) return {};
        const std::vector<const Record*>& copies = found->second.at(repetition);
        return copies.size() == static_cast<size_t>(run.copies) ? copies : std::vector<const Record*>{};
    }
    std::vector<int64_t> repetitions(const ChainRun& run) const {
        std::vector<int64_t> numbers;
        const auto& runs = run.is_probe ? probes_ : rows_;
        if (const auto found = runs.find(run.id); found != runs.end())
            for (const auto& [number, records] : found->second) numbers.push_back(number);
        return numbers;
    }

private:
    std::map<std::string, std::map<int64_t, std::vector<const Record*>>> rows_, probes_;
};

// Seconds an image: the mean of the copies.
std::optional<double> seconds_an_image(const std::vector<const Record*>& copies) {
    double sum = 0;
    for (const Record* copy : copies) {
        if (!std::isfinite(copy->value) || copy->value <= 0) return std::nullopt;
        sum += 1 / copy->value / static_cast<double>(copies.size());
    }
    return copies.empty() ? std::nullopt : std::optional(sum);
}

// How long the row's ranks computed, in milliseconds of a step: mean of the ranks, most of a rank, mean of each step's most.
struct Useful {
    double mean = 0, most = 0, slowest = 0;
};

std::optional<Useful> useful_in(const Record& record, int ranks) {
    const auto of_ranks = record.counters.find("useful_ms");
    const std::optional<double> slowest = positive_in(record.counters, "useful_slowest_ms");
    if (of_ranks == record.counters.end() || !of_ranks->is_array() || !slowest ||
        of_ranks->size() != static_cast<size_t>(ranks))
        return std::nullopt;
    Useful useful;
    useful.slowest = *slowest;
    for (const Json& ms : *of_ranks) {
        if (!ms.is_number() || !(ms.get<double>() > 0)) return std::nullopt;
        useful.mean += ms.get<double>() / ranks;
        useful.most = std::max(useful.most, ms.get<double>());
    }
    return useful;
}

std::optional<Levels> levels_in(const Runs& runs, const Chain& chain, const Point& row, int64_t repetition) {
    const std::vector<const Record*> job = runs.of({row.id(), false, "", row, 1, {}}, repetition);
    if (job.empty()) return std::nullopt;
    const Record& record = *job.front();
    const std::optional<double> step_ms = positive_in(record.counters, "step_ms");
    const std::optional<Useful> useful = useful_in(record, row.ranks);
    if (!step_ms || !useful || !(record.value > 0)) return std::nullopt;
    const double images_ms = *step_ms * record.value;  // images of a step, times 1000
    std::vector<double> ms;                            // of the runs of the chain, for as many images
    for (const ChainRun* run : chain.runs()) {
        const std::optional<double> each = seconds_an_image(runs.of(*run, repetition));
        if (!each) return std::nullopt;
        ms.push_back(*each * images_ms);
    }
    const double ranks = row.ranks, threads = row.threads;
    return Levels{ms[0] / (ranks * threads),
                  ms[1] / (ranks * threads),
                  ms[2] / ranks,
                  ms[3] / ranks,
                  useful->mean,
                  useful->most,
                  useful->slowest,
                  ms[4],
                  ms[5],
                  *step_ms};
}

// What is missing, where no repetition is complete.
std::string what_lacks(const Runs& runs, const Chain& chain, const Point& row) {
    const ChainRun job{row.id(), false, "", row, 1, {}};
    if (runs.repetitions(job).empty()) return "it has no result yet";
    for (const ChainRun* run : chain.runs())
        if (runs.repetitions(*run).empty())
            return fmt::format("{} {} has no result", run->is_probe ? "its probe" : "the row", run->id);
    return "no repetition has all that it takes: the times of every rank, and all probes";
}

std::string why_not(const Runs& runs, const Point& row) {
    const ChainRun job{row.id(), false, "", row, 1, {}};
    std::set<std::string> nodes;
    for (const int64_t repetition : runs.repetitions(job))
        for (const Record* record : runs.of(job, repetition)) {
            if (record->params.value("emulated", false)) return "it ran on an emulated GPU, which has no times";
            for (const Json& rank : record->per_rank)
                if (rank.is_object()) nodes.insert(text_in(rank, "host"));
        }
    return nodes.size() > 1 ? "its ranks are on several nodes, where no copies of the serial program were started" : "";
}

// Instructions a cycle, and cycles a second of processor time.
struct Speed {
    double ipc = 0, frequency = 0;
};

std::optional<Speed> speed_in(const Runs& runs, const ChainRun& run, int64_t repetition, std::string& why) {
    double instructions = 0, cycles = 0, seconds = 0;
    for (const Record* copy : runs.of(run, repetition)) {
        const auto some = positive_in(copy->counters, "instructions"), cycled = positive_in(copy->counters, "cycles"),
                   took = positive_in(copy->counters, "processor_seconds");
        if (!some || !cycled || !took) {
            why = text_in(copy->counters, "processor_counters_why");
            return std::nullopt;
        }
        instructions += *some, cycles += *cycled, seconds += *took;
    }
    if (cycles == 0) return std::nullopt;
    return Speed{instructions / cycles, cycles / seconds};
}

// Contention in POP's factors, where the processor's counters could be read: together over alone.
void split_contention(const Runs& runs, const Chain& chain, RowEfficiency& row) {
    std::vector<double> ipc, frequency;
    for (const int64_t repetition : runs.repetitions(chain.threaded)) {
        const std::optional<Speed> alone = speed_in(runs, chain.threaded, repetition, row.why_no_counters),
                                   together = speed_in(runs, chain.together, repetition, row.why_no_counters);
        if (!alone || !together) continue;
        ipc.push_back(together->ipc / alone->ipc);
        frequency.push_back(together->frequency / alone->frequency);
    }
    if (ipc.empty()) {
        if (row.why_no_counters.empty()) row.why_no_counters = "the records hold no counters of the processor";
        return;
    }
    row.why_no_counters.clear();
    row.ipc = median(ipc);
    row.frequency = median(frequency);
}

RowEfficiency efficiency_of_row(const Config& config, std::span<const Point> points, const Point& point, const Runs& runs) {
    RowEfficiency row;
    const Chain chain = chain_of(config, points, point);
    row.why_not = chain.why_not.empty() ? why_not(runs, point) : chain.why_not;
    std::vector<Levels> repetitions;
    if (row.why_not.empty())
        for (const int64_t repetition : runs.repetitions({point.id(), false, "", point, 1, {}}))
            if (const std::optional<Levels> levels = levels_in(runs, chain, point, repetition))
                repetitions.push_back(*levels);
    if (repetitions.empty() && row.why_not.empty()) row.why_not = what_lacks(runs, chain, point);
    if (row.why_not.empty()) {
        row = split_efficiency(repetitions);
        split_contention(runs, chain, row);
    }
    row.row = point.id();
    return row;
}

}  // namespace

std::vector<RowEfficiency> efficiency_of(const Config& config, std::span<const Point> points,
                                         std::span<const Record> records) {
    const Runs runs(records);
    std::vector<RowEfficiency> rows;
    if (!runs.has_probes()) return rows;
    for (const Point& point : points) rows.push_back(efficiency_of_row(config, points, point, runs));
    return rows;
}

std::string efficiency_csv(std::span<const RowEfficiency> rows) {
    const auto bound = [](const std::optional<double>& value) { return value ? fmt::format("{}", *value) : ""; };
    std::string text = "row,factor,value,low,high,ms\n";
    for (const RowEfficiency& row : rows)
        for (const Factor& factor : row.factors)
            text += csv_line({row.row, factor.name, fmt::format("{}", factor.value), bound(factor.low), bound(factor.high),
                              fmt::format("{}", factor.ms)});
    return text;
}

}  // namespace xbench
