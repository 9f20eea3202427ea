// Windows of images: their statistics are made by all threads, and added up in the order of the set.
#include "data/explore/explore.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/core.h>

#include "core/parallel_for.h"
#include "data/explore/explore_records.h"

namespace xbench {
namespace {

constexpr int64_t window = 256;  // images
constexpr size_t bins = 32;

struct ImageMoments {
    double mean = 0, spread = 0;
    int64_t black = 0, white = 0;
};

ImageMoments moments_of(const float* values, size_t count) {
    double sum = 0, squares = 0;
    ImageMoments moments;
    for (size_t i = 0; i < count; ++i) {
        const auto value = static_cast<double>(values[i]);
        sum += value;
        squares += value * value;
        moments.black += values[i] <= 0;
        moments.white += values[i] >= 1;
    }
    moments.mean = sum / static_cast<double>(count);
    moments.spread = std::sqrt(std::max(0.0, squares / static_cast<double>(count) - moments.mean * moments.mean));
    return moments;
}

// Sums that become an Intensity.
struct Sums {
    Intensity intensity;
    double mean = 0, mean_squares = 0, spread = 0, spread_squares = 0, black = 0, white = 0;

    explicit Sums(std::string name) {
        intensity.name = std::move(name);
        intensity.brightness = {0, 1, std::vector<int64_t>(bins)};
        intensity.variation = {0, 0.5, std::vector<int64_t>(bins)};
    }
    void add(const ImageMoments& image, double pixels) {
        ++intensity.images;
        mean += image.mean, mean_squares += image.mean * image.mean;
        spread += image.spread, spread_squares += image.spread * image.spread;
        black += static_cast<double>(image.black) / pixels, white += static_cast<double>(image.white) / pixels;
        intensity.brightness.add(image.mean);
        intensity.variation.add(image.spread);
    }
    Intensity result() {
        const double count = std::max<double>(1, static_cast<double>(intensity.images));
        const auto deviation = [&](double sum, double squares) {
            return std::sqrt(std::max(0.0, squares / count - sum / count * (sum / count)));
        };
        intensity.mean = mean / count, intensity.mean_spread = deviation(mean, mean_squares);
        intensity.contrast = spread / count, intensity.contrast_spread = deviation(spread, spread_squares);
        intensity.black = black / count, intensity.white = white / count;
        return std::move(intensity);
    }
};

class Explorer {
public:
    Explorer(const SetRecords& records, const Dataset& images, const ExploreOptions& options,
             const ExploreObserver& observer)
        : records_(records), images_(images), options_(options), observer_(observer), all_("all") {
        for (const std::string& name : records.info.class_names) by_class_.emplace_back(name);
        values_ = static_cast<size_t>(records.info.channels * records.info.height * records.info.width);
    }

    void look_at_images() {
        const int64_t count = records_.info.count;
        std::vector<float> pixels(static_cast<size_t>(window) * values_);
        std::vector<uint8_t> planes(values_);
        std::vector<ImageMoments> moments(static_cast<size_t>(window));
        for (int64_t first = 0; first < count; first += window) {
            const int64_t here = std::min(window, count - first);
            parallel_for(here, options_.threads, 8, [&](int64_t i, int) {
                const int64_t image = first + i;
                float* const own = pixels.data() + static_cast<size_t>(i) * values_;
                images_.read(std::span(&image, 1), own);
                moments[static_cast<size_t>(i)] = moments_of(own, values_);
            });
            for (int64_t i = 0; i < here; ++i) {
                const float* const own = pixels.data() + static_cast<size_t>(i) * values_;
                for (size_t v = 0; v < values_; ++v) planes[v] = static_cast<uint8_t>(own[v] * 255 + 0.5f);
                const DatasetInfo& info = records_.info;
                leaks_.add(planes.data(), info.channels, info.height, info.width, 1);
                add(static_cast<size_t>(first + i), moments[static_cast<size_t>(i)]);
            }
            if (observer_) observer_(first + here, count);
        }
    }

    void fill(ExploreReport& report) {
        report.all = all_.result();
        for (Sums& sums : by_class_) report.by_class.push_back(sums.result());
        report.leaks = leaks_.find(records_.splits, records_.groups, options_.threads);
    }

private:
    void add(size_t image, const ImageMoments& moments) {
        const auto pixels = static_cast<double>(values_);
        all_.add(moments, pixels);
        for (size_t k = 0; k < by_class_.size(); ++k)
            if (has_class(records_, image, k)) by_class_[k].add(moments, pixels);
    }

    const SetRecords& records_;
    const Dataset& images_;
    const ExploreOptions& options_;
    const ExploreObserver& observer_;
    size_t values_ = 0;
    Sums all_;
    std::vector<Sums> by_class_;
    LeakFinder leaks_;
};

}  // namespace

void Histogram::add(double value) {
    const double place = (value - low) / (high - low) * static_cast<double>(counts.size());
    const double last = static_cast<double>(counts.size()) - 1;
    ++counts[static_cast<size_t>(std::clamp(std::floor(place), 0.0, last))];
}

double Histogram::centre(size_t bin) const {
    return low + (high - low) * (static_cast<double>(bin) + 0.5) / static_cast<double>(counts.size());
}

ExploreReport explore(const SetRecords& records, const Dataset& images, const std::string& path,
                      const ExploreOptions& options, const ExploreObserver& observer) {
    ExploreReport report;
    report.summary = summarise(records, path);
    explore_records(records, options.samples_of_class, report);
    Explorer explorer(records, images, options, observer);
    explorer.look_at_images();
    explorer.fill(report);
    report.copies_labelled_otherwise = copies_labelled_otherwise(records, report.leaks);
    add_warnings(records, report);
    return report;
}

}  // namespace xbench
