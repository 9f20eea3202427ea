// An operation alone is the configuration with all others taken out.
#include "bench/runs/augment_sheet.h"

#include <algorithm>

#include <fmt/core.h>

#include "bench/draw/picture_sheet.h"
#include "data/load/augment.h"

namespace xbench {
namespace {

constexpr int together = 3;

struct Alone {
    const char* name;
    double AugmentConfig::*strength;
};
constexpr Alone operations[] = {{"flip", &AugmentConfig::flip},         {"flip vertical", &AugmentConfig::flip_vertical},
                                {"rotation", &AugmentConfig::rotation}, {"shift", &AugmentConfig::shift},
                                {"scale", &AugmentConfig::scale},       {"brightness", &AugmentConfig::brightness},
                                {"contrast", &AugmentConfig::contrast}, {"gamma", &AugmentConfig::gamma},
                                {"noise", &AugmentConfig::noise}};

std::string caption_of(const Alone& operation, const Augmentation& what) {
    const std::string_view name = operation.name;
    if (name == "rotation") return fmt::format("turn {:+.1f}", what.degrees);
    if (name == "shift") return fmt::format("shift {:+.0f} {:+.0f}", what.right, what.down);
    if (name == "scale") return fmt::format("scale {:.2f}", what.scale);
    if (name == "brightness") return fmt::format("bright {:.2f}", what.brightness);
    if (name == "contrast") return fmt::format("contr. {:.2f}", what.contrast);
    if (name == "gamma") return fmt::format("gamma {:.2f}", what.gamma);
    if (name == "noise") return fmt::format("noise {:.3f}", what.noise);
    return operation.name;
}

int used_in(const AugmentConfig& config) {
    return static_cast<int>(std::count_if(std::begin(operations), std::end(operations),
                                          [&](const Alone& operation) { return config.*operation.strength > 0; }));
}

class Sheet {
public:
    Sheet(const Dataset& dataset, const AugmentConfig& config, uint64_t seed)
        : dataset_(dataset),
          config_(config),
          seed_(seed),
          columns_(1 + together + used_in(config)),
          sheet_(dataset.info().channels, dataset.info().height, dataset.info().width, columns_),
          image_(static_cast<size_t>(dataset.info().channels * dataset.info().height * dataset.info().width)),
          scratch_(image_.size()) {}

    void add_row(int64_t image) {
        show(image, {}, 0, [](const Augmentation&) { return std::string("original"); });
        for (const Alone& operation : operations) {
            if (!(config_.*operation.strength > 0)) continue;
            AugmentConfig alone;
            alone.interpolation = config_.interpolation;
            alone.*operation.strength = config_.*operation.strength;
            const bool flip =
                operation.strength == &AugmentConfig::flip || operation.strength == &AugmentConfig::flip_vertical;
            if (flip) alone.*operation.strength = 1;  // a sheet that shows it in half of its rows shows nothing
            show(image, alone, 0, [&](const Augmentation& what) { return caption_of(operation, what); });
        }
        for (int epoch = 0; epoch < together; ++epoch)
            show(image, config_, epoch, [&](const Augmentation&) { return fmt::format("epoch {}", epoch); });
    }
    std::vector<uint8_t> png() const { return sheet_.png(); }

private:
    template <class Caption>
    void show(int64_t image, const AugmentConfig& config, int64_t epoch, const Caption& caption) {
        const Augmenter augmenter(config, dataset_.info(), seed_);
        const Augmentation what = augmenter.draw(epoch, image);
        dataset_.read(std::span(&image, 1), image_.data());
        augmenter.apply(what, image_.data(), scratch_.data());
        sheet_.add(image_, caption(what));
    }

    const Dataset& dataset_;
    const AugmentConfig& config_;
    const uint64_t seed_;
    const int columns_;
    PictureSheet sheet_;
    std::vector<float> image_, scratch_;
};

}  // namespace

AugmentConfig augment_everything() {
    AugmentConfig config;
    config.flip = config.flip_vertical = 0.5;
    config.rotation = 15;
    config.shift = config.scale = 0.1;
    config.brightness = config.contrast = config.gamma = 0.3;
    config.noise = 0.05;
    return config;
}

std::vector<uint8_t> augment_sheet(const Dataset& dataset, const AugmentConfig& config, uint64_t seed, int rows) {
    std::vector<int64_t> images = dataset.indices(Split::train);
    if (images.empty())
        for (int64_t i = 0; i < dataset.info().count; ++i) images.push_back(i);
    images.resize(std::min(images.size(), static_cast<size_t>(rows)));
    Sheet sheet(dataset, config, seed);
    for (const int64_t image : images) sheet.add_row(image);
    return sheet.png();
}

}  // namespace xbench
