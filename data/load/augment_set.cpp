// The originals first, in their order, then the copies, kind by kind.
#include "data/load/augment_set.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "core/error.h"
#include "data/load/augment.h"
#include "data/set/h5.h"

namespace xbench {
namespace {

// The way back of scale_pixels(): exact for values that were stored.
void store_pixels(const std::vector<float>& image, int bytes_per_pixel, std::vector<uint8_t>& stored) {
    for (size_t i = 0; i < image.size(); ++i) {
        if (bytes_per_pixel == 1) {
            stored[i] = static_cast<uint8_t>(std::lround(image[i] * 255.0f));
            continue;
        }
        const auto wide = static_cast<uint16_t>(std::lround(image[i] * 65535.0f));
        std::memcpy(stored.data() + 2 * i, &wide, sizeof wide);
    }
}

class SetAugmenter {
public:
    SetAugmenter(const AugmentSetOptions& options, const AugmentObserver& observer)
        : options_(options),
          observer_(observer),
          old_(read_h5_records(options.source)),
          images_(open_h5(options.source, 0)),
          new_(old_),
          augmenter_(options.augment, old_.info, options.seed),
          values_(static_cast<size_t>(old_.info.channels * old_.info.height * old_.info.width)),
          image_(values_),
          scratch_(values_),
          stored_(values_ * static_cast<size_t>(old_.info.bytes_per_pixel)),
          training_(images_->indices(Split::train)) {
        if (training_.empty()) throw UsageError("has no training images", options.source);
        const int64_t kinds = options.copies + (options.mirror ? 1 : 0);
        total_ = old_.info.count + kinds * static_cast<int64_t>(training_.size());
    }

    SetRecords run() {
        DatasetInfo info = old_.info;
        info.count = total_;
        H5Writer writer(options_.out, info);
        for (int64_t i = 0; i < old_.info.count; ++i) {
            read(i);
            write(writer);
        }
        name_groups();
        if (options_.mirror) {
            for (const int64_t i : training_) add_mirror(i, writer);
        }
        for (int64_t copy = 1; copy <= options_.copies; ++copy) {
            for (const int64_t i : training_) add_copy(i, copy, writer);
        }
        new_.created_by = fmt::format("xbench data augment, of {}", options_.source);
        new_.info.source = old_.source;
        writer.finish(new_);
        return std::move(new_);
    }

private:
    void read(int64_t i) { images_->read(std::span(&i, 1), image_.data()); }
    void write(H5Writer& writer) {
        store_pixels(image_, old_.info.bytes_per_pixel, stored_);
        writer.append(stored_);
        if (observer_) observer_(++done_, total_);
    }
    // An original without a group is one with its copies from now on.
    void name_groups() {
        if (new_.groups.empty()) new_.groups.resize(new_.ids.size());
        for (const int64_t i : training_) {
            std::string& group = new_.groups[static_cast<size_t>(i)];
            if (group.empty()) group = new_.ids[static_cast<size_t>(i)];
        }
    }
    void add_mirror(int64_t i, H5Writer& writer) {
        Augmentation what;
        what.flip = true;
        add(i, what, "+mirror", writer);
    }
    void add_copy(int64_t i, int64_t copy, H5Writer& writer) {
        add(i, augmenter_.draw(copy, i), fmt::format("+{}", copy), writer);
    }
    void add(int64_t i, const Augmentation& what, const std::string& suffix, H5Writer& writer) {
        read(i);
        augmenter_.apply(what, image_.data(), scratch_.data());
        write(writer);
        const auto at = static_cast<size_t>(i), classes = old_.info.class_names.size();
        new_.ids.push_back(new_.ids[at] + suffix);
        new_.splits.push_back(new_.splits[at]);
        new_.groups.push_back(new_.groups[at]);
        for (auto& [name, column] : new_.meta) column.push_back(column[at]);
        if (old_.info.multilabel) {
            std::vector<uint8_t> row(old_.targets.begin() + static_cast<int64_t>(at * classes),
                                     old_.targets.begin() + static_cast<int64_t>((at + 1) * classes));
            augmenter_.targets(what, std::span<uint8_t>(row));
            new_.targets.insert(new_.targets.end(), row.begin(), row.end());
        } else {
            new_.labels.push_back(augmenter_.label(what, old_.labels[at]));
        }
        if (old_.box_offsets.empty()) return;
        std::vector<Box> boxes(old_.boxes.begin() + old_.box_offsets[at], old_.boxes.begin() + old_.box_offsets[at + 1]);
        augmenter_.apply(what, boxes);
        new_.boxes.insert(new_.boxes.end(), boxes.begin(), boxes.end());
        new_.box_offsets.push_back(static_cast<int64_t>(new_.boxes.size()));
    }

    const AugmentSetOptions& options_;
    const AugmentObserver& observer_;
    const SetRecords old_;
    const std::unique_ptr<Dataset> images_;
    SetRecords new_;
    const Augmenter augmenter_;
    const size_t values_;
    std::vector<float> image_, scratch_;
    std::vector<uint8_t> stored_;
    const std::vector<int64_t> training_;
    int64_t done_ = 0, total_ = 0;
};

}  // namespace

SetRecords augment_set(const AugmentSetOptions& options, const AugmentObserver& observer) {
    if (!options.mirror && options.copies < 1)
        throw UsageError("nothing is asked for", "data augment", "give --mirror, or --copies with --augment");
    if (options.copies > 0 && !options.augment.any())
        throw UsageError("the copies would be equal", "--copies",
                         "say how they differ, as --augment rotation=10,shift=0.05");
    return SetAugmenter(options, observer).run();
}

}  // namespace xbench
