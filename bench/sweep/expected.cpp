// One timing of each piece for all rows: rows differ by their cores and their images.
#include "bench/sweep/expected.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

#include "bench/base/step.h"
#include "bench/sweep/launch.h"
#include "bench/sweep/preflight.h"
#include "bench/sweep/sweep_folder.h"
#include "core/seconds_since.h"
#include "data/set/dataset.h"
#include "data/synthetic/synthetic.h"
#include "parallel/train/dataset_model.h"
#include "parallel/train/probe_kind.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double seconds_to_start = 0.1;   // a process until its first step, and the calibrations beside it
constexpr double seconds_to_meet = 0.2;    // ranks of a launcher, beside the launcher's own time
constexpr int64_t most_timed_images = 8;   // a batch of these is timed
constexpr double seconds_of_images = 0.2;  // so long images are drawn or read for the price
constexpr int64_t most_images = 256;       // but no more than these
constexpr double most_launch_seconds = 20;

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

// Of one image, of those that `work` does: 1 at first, then as many as the time allows.
template <class F>
double seconds_an_image(int64_t images, F&& work) {
    double seconds = 0;
    int64_t done = 0;
    for (int64_t count = 1; done < images && seconds < seconds_of_images; count *= 2) {
        count = std::min(count, images - done);
        const auto start = Clock::now();
        work(done, count);
        seconds += seconds_since(start);
        done += count;
    }
    return done > 0 ? seconds / static_cast<double>(done) : 0;
}

double draw_seconds(SyntheticConfig config) {
    return seconds_an_image(std::min(config.count, most_images), [&](int64_t, int64_t count) {
        config.count = count;
        ++config.seed;  // images are as different as those of a set
        make_synthetic(config, 1);
    });
}

int64_t values_of_image(const DatasetInfo& info) { return info.channels * info.height * info.width; }

double read_seconds(const Dataset& dataset) {
    std::vector<float> pixels;
    const int64_t stride = std::max<int64_t>(1, dataset.info().count / most_images);  // from all over the file
    return seconds_an_image(std::min(dataset.info().count, most_images), [&](int64_t first, int64_t count) {
        std::vector<int64_t> indices(static_cast<size_t>(count));
        for (int64_t i = 0; i < count; ++i) indices[static_cast<size_t>(i)] = (first + i) * stride;
        pixels.resize(static_cast<size_t>(count * values_of_image(dataset.info())));
        dataset.read(indices, pixels.data());
    });
}

// For as many ranks as any row starts with it; nothing where it cannot do even that.
double launch_seconds(const Config& config, std::span<const Point> points) {
    LaunchRequest request;
    request.needs_launcher = true;
    request.ranks = 0;
    request.oversubscribe = true;
    request.program = {"true"};
    for (const Point& point : points)
        if (point.runs() && needs_launcher(point)) request.ranks = std::max(request.ranks, point.ranks);
    const Launcher launcher = choose_launcher(config.scaling.launcher).launcher;
    if (request.ranks == 0 || launcher == Launcher::local) return 0;
    if (launcher == Launcher::srun) request.srun_mpi = srun_mpi_here();
    return run_process(make_launch(request, launcher), "/dev/null", most_launch_seconds).seconds;
}

// Of a set that was opened briefly.
class SetImages {
public:
    SetImages(const DataConfig& data, const Dataset& dataset) : info_(dataset.info()), synthetic_(data.path.empty()) {
        const auto here = static_cast<double>(std::max<int64_t>(1, info_.count));
        const double whole = synthetic_ ? static_cast<double>(data.synthetic.count) / here : 1;  // some were drawn
        for (const Split split : {Split::train, Split::val, Split::test})
            of_split_[static_cast<size_t>(split)] = whole * static_cast<double>(dataset.indices(split).size());
        count_ = whole * here;
        in_memory_ = synthetic_ || info_.count * values_of_image(info_) * info_.bytes_per_pixel <= data.memory_mib << 20;
    }
    RunImages of_run(const TrainConfig& train) const {
        RunImages images = images_of_run(train, of_split_[0], of_split_[1], of_split_[2]);
        (synthetic_ ? images.drawn : images.read_first) = count_;  // a set that memory does not hold is read for its digest
        if (!in_memory_) images.read_beside = images.trained + images.evaluated;
        return images;
    }

private:
    const DatasetInfo info_;
    const bool synthetic_;
    std::array<double, 3> of_split_{};
    double count_ = 0;
    bool in_memory_ = true;
};

}  // namespace

RunImages images_of_run(const TrainConfig& train, double train_images, double val_images, double test_images) {
    const auto epochs = static_cast<double>(train.epochs);
    RunImages images;
    images.trained = epochs * train_images;
    if (!is_probe(train)) images.evaluated = epochs * val_images + test_images;
    return images;
}

double run_seconds(const RunImages& images, const RunPrices& prices, const RunShape& shape, int cores) {
    const int processes = shape.ranks * shape.copies;
    const auto at_once = [&](int threads) {
        return std::max(1.0, static_cast<double>(std::min(processes * threads, cores)));
    };
    const double launch = shape.launched ? prices.launch_seconds + seconds_to_meet : 0;
    const double first = processes * (images.drawn * prices.draw_seconds / at_once(shape.threads) +
                                      images.read_first * prices.read_seconds / at_once(1));
    const double steps =
        shape.copies * (images.trained + images.evaluated / 3) / (prices.images_per_second * at_once(shape.threads));
    const double beside = shape.copies * images.read_beside * prices.read_seconds / at_once(std::max(1, shape.loaders));
    return seconds_to_start + launch + prices.open_seconds + first +
           (shape.loaders == 0 ? steps + beside : std::max(steps, beside));
}

RunTimes expected_times(const Config& config, std::span<const Point> points, std::span<const Probe> probes,
                        const SweepLimits& limits) {
    RunTimes times;
    const auto on_cpu = [](const Point& point) { return point.device != "cuda"; };
    if (std::none_of(points.begin(), points.end(), on_cpu)) return times;
    const bool synthetic = config.data.path.empty();
    const auto start = Clock::now();
    const std::unique_ptr<Dataset> dataset = open_briefly(config.data);
    RunPrices prices;
    prices.open_seconds = synthetic ? 0 : seconds_since(start);
    (synthetic ? prices.draw_seconds : prices.read_seconds) =
        synthetic ? draw_seconds(config.data.synthetic) : read_seconds(*dataset);
    prices.images_per_second = images_per_second(config, *dataset);
    prices.launch_seconds = launch_seconds(config, points);
    const SetImages set(config.data, *dataset);
    const auto expect = [&](const std::string& run, const Point& point, const TrainConfig& train, int copies) {
        if (!on_cpu(point)) return;
        const RunShape shape{point.ranks, point.threads, static_cast<int>(config.data.workers), copies,
                             needs_launcher(point)};
        times.expect(run, run_seconds(set.of_run(train), prices, shape, limits.cores));
    };
    for (const Point& point : points) expect(run_of_point(point.id()), point, config.train, 1);
    for (const Probe& probe : probes)
        expect(run_of_probe(probe.id), probe.point,
               parse_config(json_text(to_json(config)), "probe " + probe.id, probe.settings).train, probe.copies);
    return times;
}

}  // namespace xbench
