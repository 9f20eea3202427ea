// The step benchmark and the arithmetic peak that it is held against.
#include "bench/base/step.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "bench/base/measure.h"
#include "core/hardware.h"
#include "core/rng.h"
#include "kernels/cuda/devices.h"
#include "models/registry.h"
#include "parallel/train/training_step.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

// Random images and labels in the form that a loader delivers.
struct RandomBatch {
    RandomBatch(const Graph& graph, int64_t size, int64_t leaves) {
        Random random(1, RandomUse::test_data);
        const Shape& shape = graph.value(graph.input).shape;
        images = AlignedBuffer(static_cast<size_t>(size * shape.elements()) * sizeof(float));
        for (int64_t i = 0; i < size * shape.elements(); ++i) images.as<float>()[i] = random.normal();
        const int64_t classes = graph.value(graph.output("logits")).shape[1];
        const bool multilabel = graph.value(graph.label).dtype == DType::f32;
        for (int64_t i = 0; i < size; ++i) {
            batch.sample_ids.push_back(i);
            batch.labels.push_back(static_cast<int32_t>(random.below(static_cast<uint32_t>(classes))));
            for (int64_t k = 0; multilabel && k < classes; ++k) batch.targets.push_back(static_cast<float>(random.below(2)));
        }
        for (int64_t v = 0; v <= leaves; ++v) batch.leaf_begin.push_back(static_cast<int32_t>(leaf_start(v, size, leaves)));
        batch.size = batch.global_size = size;
        batch.images = images.as<float>();
        batch.multilabel = multilabel;
    }
    AlignedBuffer images;
    Batch batch;
};

// The trainer's step on random data, in one process.
class StepRunner {
public:
    explicit StepRunner(const StepBenchOptions& options)
        : config_(train_config(options)),
          communicator_(make_self_communicator()),
          device_(make_device(options.device, options.threads)),
          step_(build_model(options.model), config_, *communicator_, *device_, {.forced = options.forced}),
          batch_(step_.graph(), config_.batch_size, step_.sums().leaves_of_all) {}
    // Until the device has done it.
    void run(std::vector<int64_t>* plan_step_ns = nullptr) {
        step_.run(batch_.batch, plan_step_ns);
        device_->wait();
    }
    const Plan& plan() const { return step_.plan(); }
    Device& device() { return *device_; }

private:
    static TrainConfig train_config(const StepBenchOptions& options) {
        TrainConfig config;
        config.batch_size = options.batch ? options.batch : find_model(options.model.name).batch;
        config.virtual_ranks = std::min(options.virtual_ranks, config.batch_size);
        config.reduction = options.reduction;
        config.precision = options.precision;
        config.activation_checkpointing = options.activation_checkpointing;
        return config;
    }
    const TrainConfig config_;
    const std::unique_ptr<Communicator> communicator_;
    const std::unique_ptr<Device> device_;
    TrainingStep step_;
    RandomBatch batch_;
};

std::vector<std::pair<std::string, double>> profile(StepRunner& runner, double seconds) {
    std::vector<std::vector<double>> times;
    std::vector<int64_t> step_ns;
    const auto start = Clock::now();
    do {
        runner.run(&step_ns);
        times.resize(step_ns.size());
        for (size_t i = 0; i < step_ns.size(); ++i) times[i].push_back(static_cast<double>(step_ns[i]) * 1e-3);
    } while (std::chrono::duration<double>(Clock::now() - start).count() < seconds);
    std::vector<std::pair<std::string, double>> rows;
    for (size_t i = 0; i < times.size(); ++i) {
        const bool optimizer = i == runner.plan().steps.size();
        const Node* node = optimizer ? nullptr : &runner.plan().graph.node(runner.plan().steps[i].node);
        const Kernel* kernel = optimizer ? nullptr : runner.plan().steps[i].kernel;
        rows.emplace_back(optimizer
                              ? "optimizer"
                              : fmt::format("{:<26} {:<8} {}", name_of(node->op), node->name, kernel ? kernel->name : ""),
                          median(times[i]));
    }
    return rows;
}

std::vector<PredictedRow> predict_step(StepRunner& runner, const GpuChip& chip) {
    GpuCounter counter(runner.device());
    runner.run();
    std::vector<PredictedRow> rows;
    for (const CountedRow& row : counter.take()) rows.push_back({row.operation, row.row, predict(row, chip)});
    return rows;
}

}  // namespace

double measure_fma_peak(Device& device) {
    constexpr int64_t rounds = 400000;
    double best = 0;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const DeviceEvent start = device.record();
        const double operations = device.multiply_adds(rounds);
        if (operations == 0) return 0;
        best = std::max(best, operations / static_cast<double>(device.elapsed_ns(start, device.record())));
    }
    return best;
}

StepTiming measure_step(const StepBenchOptions& options) {
    StepRunner runner(options);
    StepTiming timing;
    timing.batch = runner.plan().options.max_batch;
    timing.threads = options.threads;
    timing.isa = isa_name(isa_of(runner.plan()));
    timing.flops_per_step = flops_per_step(runner.plan());
    const bool on_gpu = options.device == "cuda";
    timing.emulated = on_gpu && query_gpus().emulated;
    if (on_gpu) timing.isa = to_string(runner.plan().target);
    if (!options.predict.empty()) timing.predicted = predict_step(runner, find_gpu_chip(options.predict));
    if (timing.emulated) {
        if (options.predict.empty()) runner.run();
        return timing;
    }
    if (!on_gpu) timing.peak_gflops = measure_fma_peak(runner.device());

    MeasureOptions budget;
    budget.warmup_seconds = options.seconds * 0.1;
    budget.warmup_calls = 3;
    budget.seconds = options.seconds;
    std::vector<double> milliseconds;
    for (const int64_t ns : measure([&] { runner.run(); }, budget)) milliseconds.push_back(static_cast<double>(ns) * 1e-6);
    if (options.profile) timing.profile = profile(runner, options.seconds);

    const Interval interval = interval_of(milliseconds);
    timing.steps = static_cast<int64_t>(milliseconds.size());
    timing.step_ms_median = interval.median;
    timing.step_ms_low = interval.low;
    timing.step_ms_high = interval.high;
    timing.images_per_second = static_cast<double>(timing.batch) / (timing.step_ms_median * 1e-3);
    if (on_gpu) return timing;
    timing.peak_gflops = std::max(timing.peak_gflops, measure_fma_peak(runner.device()));
    timing.share_of_peak = timing.flops_per_step / (timing.step_ms_median * 1e-3) / (timing.peak_gflops * 1e9);
    return timing;
}

Json to_json(const StepTiming& t, const StepBenchOptions& options) {
    const auto timed = [&](double value) { return t.emulated ? Json(nullptr) : Json(value); };
    const auto of_peak = [&](double value) { return t.peak_gflops > 0 ? Json(value) : Json(nullptr); };
    Json json{{"model", options.model.name},
              {"batch", t.batch},
              {"threads", t.threads},
              {"precision", options.precision},
              {"device", options.device},
              {"step_ms_median", timed(t.step_ms_median)},
              {"step_ms_low", timed(t.step_ms_low)},
              {"step_ms_high", timed(t.step_ms_high)},
              {"images_per_second", timed(t.images_per_second)},
              {"flops_per_step", t.flops_per_step},
              {"share_of_peak", of_peak(t.share_of_peak)},
              {"peak_gflops", of_peak(t.peak_gflops)},
              {"isa", t.isa},
              {"steps", t.steps},
              {"reduction", options.reduction},
              {"virtual_ranks", options.virtual_ranks},
              {"activation_checkpointing", options.activation_checkpointing}};
    if (t.emulated) json["emulated"] = true;
    for (const PredictedRow& row : t.predicted)
        json["predicted_not_measured"].push_back({{"operation", row.name},
                                                  {"row", row.row},
                                                  {"us", row.prediction.seconds * 1e6},
                                                  {"bound", row.prediction.bound},
                                                  {"launches", row.prediction.launches}});
    if (!options.predict.empty()) json["predicted_for"] = find_gpu_chip(options.predict).name;
    for (const auto& [step, microseconds] : t.profile) json["profile"].push_back({{"step", step}, {"us", microseconds}});
    return json;
}

}  // namespace xbench
