// One timing for all rows: rows differ by their cores and their images.
#include "bench/sweep/expected.h"

#include <algorithm>
#include <memory>

#include "bench/base/step.h"
#include "bench/sweep/preflight.h"
#include "bench/sweep/sweep_folder.h"
#include "core/hardware.h"
#include "data/set/dataset.h"
#include "parallel/train/dataset_model.h"

namespace xbench {
namespace {

constexpr double seconds_to_start = 0.3;  // a process, until its first step
constexpr int64_t most_timed_images = 8;  // a batch of these is timed

// Of the set, whose synthetic images may have been made in part.
double images_in(const Dataset& dataset, Split split, const DataConfig& data) {
    const auto here = static_cast<double>(dataset.indices(split).size());
    const bool in_part = data.path.empty() && dataset.info().count > 0;
    return in_part ? here * static_cast<double>(data.synthetic.count) / static_cast<double>(dataset.info().count) : here;
}

double images_per_second(const Config& config, const Dataset& dataset) {
    StepBenchOptions options;
    options.model = model_for(config.model, dataset.info());
    options.batch = std::min(config.train.batch_size, most_timed_images);
    options.virtual_ranks = config.train.virtual_ranks;
    options.reduction = config.train.reduction;
    options.precision = config.train.precision;
    options.seconds = 0.3;
    return measure_step(options).images_per_second;
}

}  // namespace

RunImages images_of_run(const TrainConfig& train, double train_images, double val_images, double test_images) {
    const auto epochs = static_cast<double>(train.epochs);
    return {epochs * train_images, epochs * val_images + test_images};
}

double run_seconds(const RunImages& images, double images_per_second, int processors, int cores) {
    const double at_once = std::max(1, std::min(processors, cores));
    return seconds_to_start + (images.trained + images.evaluated / 3) / (images_per_second * at_once);
}

RunTimes expected_times(const Config& config, std::span<const Point> points, std::span<const Probe> probes) {
    RunTimes times;
    const auto on_cpu = [](const Point& point) { return point.device != "cuda"; };
    if (std::none_of(points.begin(), points.end(), on_cpu)) return times;
    const std::unique_ptr<Dataset> dataset = open_briefly(config.data);
    const double rate = images_per_second(config, *dataset);
    const int cores = query_hardware().allowed_cores;
    const auto expect = [&](const std::string& run, const Point& point, const TrainConfig& train) {
        if (!on_cpu(point)) return;
        const RunImages images =
            images_of_run(train, images_in(*dataset, Split::train, config.data),
                          images_in(*dataset, Split::val, config.data), images_in(*dataset, Split::test, config.data));
        times.expect(run, run_seconds(images, rate, point.processors(), cores));
    };
    for (const Point& point : points) expect(run_of_point(point.id()), point, config.train);
    for (const Probe& probe : probes)
        expect(run_of_probe(probe.id), probe.point,
               parse_config(json_text(to_json(config)), "probe " + probe.id, probe.settings).train);
    return times;
}

}  // namespace xbench
