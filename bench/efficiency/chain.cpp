// The serial program of a rank's share has as many leaves as the rank: its leaves are then as large as the rank's, and its
// kernels cut the batch in the same way.
#include "bench/efficiency/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace xbench {
namespace {

struct SerialProgram {
    int threads = 1;
    int64_t batch = 1, leaves = 1, epochs = 1;
};

ChainRun as_row(const Point& row) { return {row.id(), false, "", row, 1, {}}; }

// Whether a row that will run, or ran, is this program.
bool is_row(const Config& config, const Point& row, const SerialProgram& program) {
    return row.trainer == "serial" && row.device == "cpu" && row.status == PointStatus::ok &&
           row.threads == program.threads && row.global_batch == program.batch &&
           config.train.virtual_ranks == program.leaves && config.train.epochs == program.epochs;
}

ChainRun serial_run(const Config& config, std::span<const Point> rows, const SerialProgram& program, int copies = 1) {
    const auto found =
        std::find_if(rows.begin(), rows.end(), [&](const Point& row) { return is_row(config, row, program); });
    if (found != rows.end() && copies == 1) return as_row(*found);
    ChainRun run;
    run.point.trainer = "serial";
    run.point.device = "cpu";
    run.point.threads = program.threads;
    run.point.global_batch = program.batch;
    run.copies = copies;
    run.id = fmt::format("serial-t{}-b{}-v{}", program.threads, program.batch, program.leaves);
    if (program.epochs != config.train.epochs) run.id += fmt::format("-e{}", program.epochs);
    if (copies > 1) run.id += fmt::format("-x{}", copies);
    // Without rows, whose ranks may be more than these leaves.
    run.settings = {"sweep=[]", fmt::format("train.virtual_ranks={}", program.leaves),
                    fmt::format("train.accumulate={}", std::min(config.train.accumulate, program.leaves)),
                    fmt::format("train.epochs={}", program.epochs), "train.probe=steps"};
    return run;
}

ChainRun as_probe(const Point& row, const char* kind) {
    return {row.id() + "-" + kind, true, row.id(), row, 1, {std::string("train.probe=") + kind}};
}

// As many steps as the row makes, in whole epochs: each of them is as long as a rank's, and the serial program needs P times
// as many for an epoch.
int64_t epochs_of_share(const Config& config, const Point& row) { return (config.train.epochs + row.ranks - 1) / row.ranks; }

SerialProgram share_of(const Config& config, const Point& row) {
    SerialProgram share{row.threads, config.train.batch_size, config.train.virtual_ranks, config.train.epochs};
    if (config.scaling.mode == "weak" || row.ranks == 1) return share;
    const auto ranks = static_cast<int64_t>(row.ranks);
    share.batch = std::max<int64_t>(1, std::llround(static_cast<double>(row.global_batch) / static_cast<double>(ranks)));
    share.leaves = std::clamp<int64_t>((share.leaves + ranks - 1) / ranks, 1, share.batch);
    share.epochs = epochs_of_share(config, row);
    return share;
}

std::string why_not(const Point& row) {
    if (row.device != "cpu") return "it computes on a GPU, of which no thread of a serial program is a part";
    if (row.status == PointStatus::oversubscribed) return "it is oversubscribed: its threads wait for each other's cores";
    if (row.status != PointStatus::ok) return row.reason.empty() ? name_of(row.status) : row.reason;
    if (row.trainer == "serial" && row.threads == 1) return "it is the base";
    return "";
}

}  // namespace

std::vector<const ChainRun*> Chain::runs() const { return {&serial, &small, &threaded, &together, &arrivals, &preloaded}; }

Chain chain_of(const Config& config, std::span<const Point> rows, const Point& row) {
    Chain chain;
    chain.why_not = why_not(row);
    if (!chain.why_not.empty()) return chain;
    const TrainConfig& train = config.train;
    SerialProgram share = share_of(config, row);
    chain.serial = serial_run(config, rows, {1, train.batch_size, train.virtual_ranks, train.epochs});
    chain.small = serial_run(config, rows, {1, share.batch, share.leaves, share.epochs});
    chain.threaded = serial_run(config, rows, share);
    share.epochs = epochs_of_share(config, row);
    chain.together = row.ranks > 1 ? serial_run(config, rows, share, row.ranks) : chain.threaded;
    chain.preloaded = as_probe(row, "preloaded");
    chain.arrivals = row.ranks > 1 ? as_probe(row, "arrivals") : chain.preloaded;
    return chain;
}

}  // namespace xbench
