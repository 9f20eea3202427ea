// The suite in Google Benchmark, whose only user this file is. One problem is in memory at a time; its repetitions follow
// each other. With a peer library the two take turns call by call, and each call is timed on its own.
#include "bench/kernels/kernel_suite.h"

#include <benchmark/benchmark.h>

#include <chrono>
#include <memory>
#include <regex>
#include <sstream>

#include "bench/base/environment.h"
#include "bench/kernels/compared_kernels.h"
#include "bench/kernels/kernel_case.h"
#include "bench/kernels/kernel_peer.h"
#include "core/error.h"
#include "core/hardware.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point start, Clock::time_point end) {
    return std::chrono::duration<double>(end - start).count();
}

// What is being measured now: kept over the repetitions of one benchmark.
struct Current {
    Current(const KernelSuiteEntry& entry, const KernelSuiteOptions& options, Device& device, Roofline& roofline)
        : ours(entry.problem, *entry.kernel, device), copy(roofline.copy_for(ours.working_set())) {
        work = op_def(entry.problem.op).work(entry.problem.problem());
        bound = roofline.bound(work, copy);
        if (options.check) error = measure_error(entry.problem, *entry.kernel, device);
        peer = make_peer(ours.args(), *entry.kernel, device);
        if (peer) require_same_result(ours, *peer);
        ours.run();
        if (!device.is_host() && !peer) calls = calls_between_events();
    }
    // Launches of a device that computes later are short beside its events.
    int64_t calls_between_events() {
        constexpr int64_t most = 64;
        constexpr double enough_seconds = 1e-3;
        int64_t count = 1;
        while (count < most && ours.seconds(count) < enough_seconds) count *= 2;
        return count;
    }
    KernelCase ours;
    const CopyBandwidth copy;
    Work work;
    RooflineBound bound;
    KernelError error;
    std::unique_ptr<KernelPeer> peer;
    int64_t calls = 1;                                                     // that are timed at once
    std::vector<double> peer_microseconds, peer_ratios, peer_step_ratios;  // of repetitions
};

// Collects the repetitions' times and has Google Benchmark's own reporter write its format.
class Collector : public benchmark::BenchmarkReporter {
public:
    explicit Collector(std::function<void(const std::vector<double>&, const std::string&)> finished)
        : finished_(std::move(finished)) {
        json_.SetOutputStream(&text_);
        json_.SetErrorStream(&text_);
    }
    bool ReportContext(const Context& context) override { return json_.ReportContext(context); }
    void ReportRuns(const std::vector<Run>& runs) override {
        json_.ReportRuns(runs);
        std::vector<double> microseconds;
        std::string failure;
        for (const Run& run : runs) {
            if (run.run_type != Run::RT_Iteration) return;
            if (run.error_occurred) failure = run.error_message;
            if (run.iterations > 0)
                microseconds.push_back(run.real_accumulated_time / static_cast<double>(run.iterations) * 1e6);
        }
        finished_(microseconds, failure);
    }
    void Finalize() override { json_.Finalize(); }
    // The ratio of deviation and mean of a counter that is 0 is written as NaN, which is no JSON.
    Json json() const {
        JsonMistake wrong;
        const auto parsed = parse_json(std::regex_replace(text_.str(), std::regex(": -?(NaN|Infinity)"), ": null"), &wrong);
        if (!parsed) throw Error("is no JSON: " + wrong.what, "Google Benchmark's report");
        return *parsed;
    }

private:
    std::function<void(const std::vector<double>&, const std::string&)> finished_;
    std::ostringstream text_;
    benchmark::JSONReporter json_;
};

class Suite {
public:
    Suite(const KernelSuiteOptions& options, std::vector<KernelSuiteEntry> entries, Device& device,
          const std::function<void(const KernelMeasurement&)>& progress)
        : options_(options),
          entries_(std::move(entries)),
          progress_(progress),
          device_(device),
          roofline_(device, device.is_host() ? query_hardware().data_caches : std::vector<CacheLevel>{}) {}

    KernelReport run();

private:
    void register_entry(size_t index);
    bool prepare(size_t index);
    // Whether each call is timed on its own: by turns with a peer's, or by the clock of a device that computes later.
    bool by_calls() const { return !peer_name().empty() || !device_.is_host(); }
    void measure_entry(benchmark::State& state, size_t index);
    void alternate(benchmark::State& state);
    void set_counters(benchmark::State& state) const;
    void finish_entry(const std::vector<double>& microseconds, const std::string& failure);

    const KernelSuiteOptions& options_;
    const std::vector<KernelSuiteEntry> entries_;
    const std::function<void(const KernelMeasurement&)>& progress_;
    Device& device_;
    Roofline roofline_;
    size_t index_ = 0;
    std::unique_ptr<Current> current_;
    std::string failure_;  // of preparing the current one
    KernelReport report_;
};

void Suite::register_entry(size_t index) {
    auto* registered = benchmark::RegisterBenchmark(entries_[index].name.c_str(),
                                                    [this, index](benchmark::State& state) { measure_entry(state, index); });
    registered->Unit(benchmark::kMicrosecond);
    if (by_calls())
        registered->UseManualTime();
    else
        registered->UseRealTime();
}

// The first repetition prepares the problem for all of them. What goes wrong becomes the row's remark: the other rows shall
// not be lost, and Google Benchmark's code is not written for exceptions.
bool Suite::prepare(size_t index) {
    index_ = index;
    try {
        if (!current_ && failure_.empty())
            current_ = std::make_unique<Current>(entries_[index], options_, device_, roofline_);
    } catch (const std::exception& error) {
        failure_ = error.what();
    }
    return failure_.empty();
}

void Suite::measure_entry(benchmark::State& state, size_t index) {
    if (!prepare(index)) {
        state.SkipWithError(failure_.c_str());
        return;
    }
    state.SetLabel(std::string(entries_[index].kernel->name) + " (" + place_of(*entries_[index].kernel) + ")");
    if (current_->calls > 1)
        while (state.KeepRunningBatch(current_->calls)) state.SetIterationTime(current_->ours.seconds(current_->calls));
    else if (by_calls())
        alternate(state);
    else
        for ([[maybe_unused]] auto iteration : state) current_->ours.run();
    set_counters(state);
}

void Suite::alternate(benchmark::State& state) {
    double ours = 0, peers = 0, reorders = 0;
    int64_t calls = 0;
    for ([[maybe_unused]] auto iteration : state) {
        const double mine = current_->ours.seconds();
        const auto middle = Clock::now();
        if (current_->peer) current_->peer->run();
        const auto end = Clock::now();
        if (current_->peer) current_->peer->reorder_filters();
        reorders += seconds_between(end, Clock::now());
        peers += seconds_between(middle, end);
        ours += mine;
        ++calls;
        state.SetIterationTime(mine);
    }
    if (!current_->peer) return;
    current_->peer_microseconds.push_back(peers / static_cast<double>(calls) * 1e6);
    current_->peer_ratios.push_back(peers / ours);
    current_->peer_step_ratios.push_back((peers + reorders) / ours);
    state.counters["peer_us"] = current_->peer_microseconds.back();
    state.counters["peer_ratio"] = current_->peer_ratios.back();
    state.counters["peer_step_ratio"] = current_->peer_step_ratios.back();
}

void Suite::set_counters(benchmark::State& state) const {
    const Current& now = *current_;
    // A value that stands for one call, divided by the time of a call.
    const auto rate = [](double value) { return benchmark::Counter(value, benchmark::Counter::kIsIterationInvariantRate); };
    state.counters["flops_per_second"] = rate(now.work.flops);
    state.counters["bytes_per_second"] = rate(now.work.bytes);
    state.counters["share_of_peak"] =
        rate(roofline_.peak_gflops() > 0 ? now.work.flops / (roofline_.peak_gflops() * 1e9) : 0);
    state.counters["share_of_copy"] = rate(now.work.bytes / (now.copy.gbytes_per_second * 1e9));
    state.counters["share_of_bound"] = rate(now.bound.seconds);
    state.counters["copy_bytes"] = static_cast<double>(now.copy.bytes);
    if (options_.check) state.counters["error_eps"] = now.error.eps;
}

void Suite::finish_entry(const std::vector<double>& microseconds, const std::string& failure) {
    const KernelSuiteEntry& entry = entries_[index_];
    KernelMeasurement row = without_figures(entry);
    row.failure = failure;
    if (current_ && failure.empty()) {
        row.microseconds = interval_of(microseconds);
        const double seconds = row.microseconds.median * 1e-6;
        row.work = current_->work;
        row.copy = current_->copy;
        row.gflops = row.work.flops / seconds * 1e-9;
        row.gbytes_per_second = row.work.bytes / seconds * 1e-9;
        row.share_of_peak = roofline_.peak_gflops() > 0 ? row.gflops / roofline_.peak_gflops() : 0;
        row.share_of_copy = row.gbytes_per_second / row.copy.gbytes_per_second;
        row.share_of_bound = current_->bound.seconds / seconds;
        row.bound_by_arithmetic = current_->bound.by_arithmetic;
        row.error_eps = options_.check ? current_->error.eps : -1;
        row.failure = current_->error.message;
        if (current_->peer) row.peer_implementation = current_->peer->implementation();
        row.peer_microseconds = median(current_->peer_microseconds);
        row.peer_ratio = median(current_->peer_ratios);
        row.peer_step_ratio = median(current_->peer_step_ratios);
    }
    current_.reset();
    failure_.clear();
    report_.rows.push_back(row);
    if (progress_) progress_(row);
}

// Google Benchmark's settings go through a command line of its own: set there, they are not repeated in every name.
void configure_google_benchmark(const KernelSuiteOptions& options) {
    static char program[] = "xbench";
    std::string repetitions = "--benchmark_repetitions=" + std::to_string(options.repetitions);
    std::string min_time = "--benchmark_min_time=" + std::to_string(options.min_time);
    char* arguments[] = {program, repetitions.data(), min_time.data(), nullptr};
    int count = 3;
    benchmark::Initialize(&count, arguments);
}

KernelReport Suite::run() {
    configure_google_benchmark(options_);
    benchmark::ClearRegisteredBenchmarks();
    for (size_t i = 0; i < entries_.size(); ++i) register_entry(i);
    Collector collector([this](const std::vector<double>& microseconds, const std::string& failure) {
        finish_entry(microseconds, failure);
    });
    report_.peak_gflops = roofline_.peak_gflops();
    report_.memory = roofline_.memory();
    report_.time_utc = utc_time("%Y-%m-%dT%H:%M:%SZ");
    benchmark::RunSpecifiedBenchmarks(&collector, "all");
    benchmark::ClearRegisteredBenchmarks();

    report_.threads = device_.threads();
    report_.repetitions = options_.repetitions;
    report_.isa = device_.is_host() ? isa_name(device_.target().isa) : to_string(device_.target());
    report_.peer = peer_name();
    report_.peak_gflops_at_end = roofline_.measure_peak();
    report_.google_benchmark = collector.json();
    report_.google_benchmark["context"]["xbench"] = Json{{"isa", report_.isa},
                                                         {"threads", report_.threads},
                                                         {"peak_gflops", report_.peak_gflops},
                                                         {"peak_gflops_at_end", report_.peak_gflops_at_end},
                                                         {"memory_copy_gbytes_per_second", report_.memory.gbytes_per_second},
                                                         {"peer", report_.peer},
                                                         {"build", build_info()}};
    return std::move(report_);
}

}  // namespace

KernelReport run_kernel_suite(const KernelSuiteOptions& options, std::span<const LayerProblem> problems, Device& device,
                              const std::function<void(const KernelMeasurement&)>& progress) {
    KernelSelection selection = select_entries(problems, options, device.target());
    if (device.is_emulated()) return compare_kernels(options, selection, device, progress);
    Suite suite(options, std::move(selection.entries), device, progress);
    KernelReport report = suite.run();
    report.left_out = selection.left_out;
    return report;
}

}  // namespace xbench
