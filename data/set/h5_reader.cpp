// Reads the HDF5 set of format.md: labels, splits, boxes and the rest into memory, pixels at once or image by image.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "core/error.h"
#include "core/utf8.h"
#include "data/set/h5.h"
#include "data/set/h5_file.h"
#include "data/set/h5_probe.h"
#include "data/set/memory_dataset.h"

namespace xbench {
namespace h5 {

void Reader::read_labels(SetRecords& records) const {
    const Handle set = open("labels", true);
    const auto extent = checked_extent(set.get(), "/labels", H5T_INTEGER);
    if (extent.size() > 2 || extent[0] != extent_[0] || (extent.size() == 2 && (extent[1] < 1 || extent[1] > max_classes))) {
        fail("/labels", fmt::format("must be {{{}}} or {{{},K}}", extent_[0], extent_[0]));
    }
    DatasetInfo& info = records.info;
    info.multilabel = extent.size() == 2;
    info.class_names = text_attribute("class_names");
    if (info.class_names.empty()) info.class_names = strings("class_names", 1, max_classes);
    hsize_t classes = 0;
    if (info.multilabel) {
        records.targets = numbers<uint8_t>(set.get(), "/labels", H5T_NATIVE_UINT8, extent);
        classes = extent[1];
        if (std::any_of(records.targets.begin(), records.targets.end(),
                        [](uint8_t target) { return target > 1 && target != unknown_label; })) {
            fail("/labels", "of several classes must be 0 or 1, or 255 where nobody knows");
        }
    } else {
        records.labels = numbers<int32_t>(set.get(), "/labels", H5T_NATIVE_INT32, extent);
        const auto [low, high] = std::minmax_element(records.labels.begin(), records.labels.end());
        if (*low < 0 || std::cmp_greater_equal(*high, max_classes))
            fail("/labels", fmt::format("run from {} to {}", *low, *high));
        classes = static_cast<hsize_t>(*high) + 1;
    }
    if (info.class_names.empty()) {
        for (hsize_t k = 0; k < classes; ++k) info.class_names.push_back(fmt::format("{}", k));
    }
    if (info.multilabel ? info.class_names.size() != classes : info.class_names.size() < classes) {
        fail("/labels", fmt::format("have {} classes, class_names has {}", classes, info.class_names.size()));
    }
    check_class_names(info.class_names, path_);
}

void Reader::read_boxes(SetRecords& records) const {
    const Handle boxes = open("boxes", false), offsets = open("box_offsets", false);
    if (!boxes || !offsets) return;
    const auto extent = checked_extent(boxes.get(), "/boxes", H5T_FLOAT);
    const auto places = checked_extent(offsets.get(), "/box_offsets", H5T_INTEGER);
    if (extent.size() != 2 || extent[1] != 5) fail("/boxes", "must be {M,5}: class, x, y, w, h");
    if (places.size() != 1 || places[0] != extent_[0] + 1)
        fail("/box_offsets", fmt::format("must have {} entries", extent_[0] + 1));
    const auto flat = numbers<float>(boxes.get(), "/boxes", H5T_NATIVE_FLOAT, extent);
    records.boxes.resize(extent[0]);
    if (!flat.empty()) std::memcpy(records.boxes.data(), flat.data(), flat.size() * sizeof(float));
    records.box_offsets = numbers<int64_t>(offsets.get(), "/box_offsets", H5T_NATIVE_INT64, places);
    if (records.box_offsets.front() != 0 || std::cmp_not_equal(records.box_offsets.back(), extent[0]) ||
        !std::is_sorted(records.box_offsets.begin(), records.box_offsets.end())) {
        fail("/box_offsets", fmt::format("must rise from 0 to {}", extent[0]));
    }
}

// Text columns of /meta; what else lies there is another program's.
void Reader::read_meta(SetRecords& records) const {
    H5L_info_t link;
    if (H5Lget_info(file_.get(), "meta", &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) return;
    const Handle group(H5Gopen2(file_.get(), "meta", H5P_DEFAULT), H5Gclose);
    H5G_info_t contents{};
    if (!group || H5Gget_info(group.get(), &contents) < 0) return;
    for (hsize_t i = 0; i < std::min<hsize_t>(contents.nlinks, max_meta); ++i) {
        std::array<char, 256> name{};
        const ssize_t length =
            H5Lget_name_by_idx(group.get(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(), H5P_DEFAULT);
        if (length < 1 || std::cmp_greater_equal(length, name.size()) || !is_utf8(name.data())) continue;
        const std::string place = std::string("meta/") + name.data();
        const Handle set = open(place.c_str(), false);
        const Handle type(H5Dget_type(set.get()), H5Tclose);
        if (H5Tget_class(type.get()) != H5T_STRING) continue;
        records.meta[name.data()] = strings(place.c_str(), extent_[0], extent_[0]);
    }
}

SetRecords Reader::records() {
    SetRecords records;
    DatasetInfo& info = records.info;
    info.source = path_;
    info.count = static_cast<int64_t>(extent_[0]);
    info.channels = static_cast<int64_t>(extent_[1]);
    info.height = static_cast<int64_t>(extent_[2]);
    info.width = static_cast<int64_t>(extent_[3]);
    info.bytes_per_pixel = static_cast<int>(pixel_bytes_);
    read_labels(records);
    const Handle split = open("split", true);
    const auto extent = checked_extent(split.get(), "/split", H5T_INTEGER);
    if (extent.size() != 1 || extent[0] != extent_[0]) fail("/split", fmt::format("must have {} entries", extent_[0]));
    records.splits = numbers<uint8_t>(split.get(), "/split", H5T_NATIVE_UINT8, extent);
    if (std::any_of(records.splits.begin(), records.splits.end(), [](uint8_t s) { return s > 2; })) {
        fail("/split", "must be 0 (train), 1 (val) or 2 (test)");
    }
    records.ids = strings("ids", extent_[0], extent_[0]);
    for (hsize_t i = records.ids.size(); i < extent_[0]; ++i) records.ids.push_back(fmt::format("{}", i));
    records.groups = strings("group", extent_[0], extent_[0]);
    read_boxes(records);
    read_meta(records);
    const auto author = text_attribute("created_by");
    if (!author.empty()) records.created_by = author.front();
    const auto origin = text_attribute("source");
    if (!origin.empty()) records.source = origin.front();
    if (const auto leaks = text_attribute("leaks"); !leaks.empty()) info.leaks = leaks.front();
    records.pixel_mean = number_attribute("pixel_mean");
    records.pixel_std = number_attribute("pixel_std");
    return records;
}

}  // namespace h5

namespace {

using h5::Reader;

// A set too large for memory: each image is read from its chunk when asked for.
class FileDataset : public Dataset {
public:
    FileDataset(Reader reader, SetRecords records) : reader_(std::move(reader)) {
        info_ = std::move(records.info);
        labels_ = std::move(records.labels);
        targets_ = std::move(records.targets);
        splits_ = std::move(records.splits);
        ids_ = std::move(records.ids);
        groups_ = std::move(records.groups);
        boxes_ = std::move(records.boxes);
        box_offsets_ = std::move(records.box_offsets);
    }
    ~FileDataset() override {
        const auto lock = h5::lock_library();
        reader_.reset();
    }
    void read(std::span<const int64_t> indices, float* images) const override {
        thread_local std::vector<uint8_t> raw;  // grows once a thread
        raw.resize(reader_->image_bytes());
        const size_t values = raw.size() / static_cast<size_t>(info_.bytes_per_pixel);
        for (const int64_t index : indices) {
            {
                const auto lock = h5::lock_library();
                reader_->read_images(static_cast<hsize_t>(index), 1, raw.data());
            }
            scale_pixels(raw.data(), info_.bytes_per_pixel, values, images);
            images += values;
        }
    }
    std::string digest() const override {
        Hash hash;
        std::vector<uint8_t> raw(reader_->image_bytes());
        for (hsize_t i = 0; i < reader_->count(); ++i) {
            const auto lock = h5::lock_library();
            reader_->read_images(i, 1, raw.data());
            hash.add(raw.data(), raw.size());
        }
        return finish_digest(hash, *this);
    }

private:
    std::optional<Reader> reader_;
};

std::vector<uint8_t> read_all(const Reader& reader) {
    std::vector<uint8_t> pixels(reader.count() * reader.image_bytes());
    reader.read_images(0, reader.count(), pixels.data());
    return pixels;
}

// Reads the set once in a child process: everything but the pixels, and images all over the file, so that every part of
// the index of chunks is walked.
void try_out(const std::string& path) {
    h5::probe(path, [&path] {
        Reader reader(path);
        reader.records();
        std::vector<uint8_t> pixels(reader.image_bytes());
        const hsize_t looks = std::min(reader.count(), std::max<hsize_t>(16, (hsize_t{64} << 20) / reader.image_bytes()));
        for (hsize_t i = 0; i < looks; ++i) reader.read_images(i * reader.count() / looks, 1, pixels.data());
    });
}

}  // namespace

bool is_hdf5(const std::string& path) {
    const auto lock = h5::lock_library();
    return std::string_view(path).ends_with(".h5") || std::string_view(path).ends_with(".hdf5") ||
           H5Fis_hdf5(path.c_str()) > 0;
}

std::unique_ptr<Dataset> open_h5(const std::string& path, int64_t memory_limit_bytes) {
    const auto lock = h5::lock_library();
    try_out(path);
    Reader reader(path);
    SetRecords records = reader.records();
    if (std::cmp_greater(reader.count() * reader.image_bytes(), memory_limit_bytes)) {
        return std::make_unique<FileDataset>(std::move(reader), std::move(records));
    }
    return std::make_unique<MemoryDataset>(ImageSet{std::move(records), read_all(reader)});
}

SetRecords read_h5_records(const std::string& path) {
    const auto lock = h5::lock_library();
    try_out(path);
    return Reader(path).records();
}

ImageSet read_h5(const std::string& path) {
    const auto lock = h5::lock_library();
    try_out(path);
    Reader reader(path);
    SetRecords records = reader.records();
    return {std::move(records), read_all(reader)};
}

}  // namespace xbench
