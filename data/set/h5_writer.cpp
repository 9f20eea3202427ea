// Writes the HDF5 set: chunked by image with a checksum, strings of fixed length, no times, so that the same set gives
// the same bytes. A set becomes visible under its name only when it is whole and on disk.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include <fmt/core.h>

#include "core/durable_file.h"
#include "core/error.h"
#include "data/set/fletcher32.h"
#include "data/set/h5.h"
#include "data/set/h5_handles.h"

namespace xbench {
namespace {

using h5::Handle;

struct Moments {
    double sum = 0, squares = 0;  // of one channel of one image, scaled to [0,1]
};

Moments moments_of(const uint8_t* pixels, int bytes_per_pixel, size_t count) {
    uint64_t sum = 0, squares = 0;
    for (size_t i = 0; i < count; ++i) {
        uint32_t value = pixels[i];
        if (bytes_per_pixel == 2) {
            uint16_t wide;
            std::memcpy(&wide, pixels + 2 * i, sizeof wide);
            value = wide;
        }
        sum += value;
        squares += uint64_t{value} * value;
    }
    const double full = bytes_per_pixel == 2 ? 65535 : 255;
    return {static_cast<double>(sum) / full, static_cast<double>(squares) / (full * full)};
}

}  // namespace

struct H5Writer::State {
    explicit State(const std::string& name) : path(name), target(name, DurableFile::Folders::must_exist) {}
    const std::string path;
    DurableFile target;
    bool failed = false, grows = false;
    DatasetInfo info;
    Handle file, images;
    hsize_t written = 0;
    std::vector<Moments> moments;  // {written, channels}

    hsize_t extent(size_t axis) const {
        const std::array<int64_t, 4> dims{info.count, info.channels, info.height, info.width};
        return static_cast<hsize_t>(dims[axis]);
    }
    size_t image_bytes() const { return extent(1) * extent(2) * extent(3) * static_cast<size_t>(info.bytes_per_pixel); }
    [[noreturn]] void fail(const std::string& what) {
        failed = true;
        const std::string reason = h5::system_reason();
        throw Error(fmt::format("cannot write {}{}{}", what, reason.empty() ? "" : ": ", reason), path,
                    "check that the folder is writable and that the disk has room");
    }
    void give_up();
    void create();
    void make_room(hsize_t count);
    void write_images(std::span<const uint8_t> pixels);
    void write_meta(const SetRecords& records);
    void write_dataset(const char* name, hid_t stored, hid_t type, std::vector<hsize_t> dims, const void* data);
    void write_strings(const char* name, const std::vector<std::string>& strings);
    void write_attribute(const char* name, hid_t type, std::vector<hsize_t> dims, const void* data);
    void write_text_attribute(const char* name, const std::vector<std::string>& strings, bool scalar);
    void write_class_names(const std::vector<std::string>& names);
    void fill_statistics(SetRecords& records) const;
};

namespace {

Handle space_of(const std::vector<hsize_t>& dims) {
    if (dims.empty()) return {H5Screate(H5S_SCALAR), H5Sclose};
    return {H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose};
}

size_t longest(const std::vector<std::string>& strings) {
    size_t most = 1;
    for (const std::string& string : strings) most = std::max(most, string.size());
    return most;
}

std::vector<char> pack(const std::vector<std::string>& strings, size_t width) {
    std::vector<char> packed(std::max<size_t>(1, strings.size() * width));
    for (size_t i = 0; i < strings.size(); ++i) std::copy(strings[i].begin(), strings[i].end(), packed.begin() + i * width);
    return packed;
}

// Dataset creation without object times.
Handle creation() {
    Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_obj_track_times(properties.get(), false);
    return properties;
}

// HDF5 1.10's format: there all that describes the data, names and attributes included, has checksums.
Handle access() {
    Handle properties(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_libver_bounds(properties.get(), H5F_LIBVER_V110, H5F_LIBVER_V110);
    return properties;
}

// Chunks of whole rows with a checksum each.
void check_chunks(const Handle& properties, const std::vector<hsize_t>& dims, hid_t type) {
    constexpr hsize_t chunk_bytes = hsize_t{1} << 20;
    std::vector<hsize_t> chunk = dims;
    hsize_t row_bytes = H5Tget_size(type);
    for (size_t i = 1; i < dims.size(); ++i) row_bytes *= dims[i];
    chunk[0] = std::clamp<hsize_t>(chunk_bytes / std::max<hsize_t>(1, row_bytes), 1, dims[0]);
    H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data());
    H5Pset_fletcher32(properties.get());
}

}  // namespace

void H5Writer::State::create() {
    const Handle how = access(), kind(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
    H5Pset_obj_track_times(kind.get(), false);  // of the root group
    file = Handle(H5Fcreate(target.temporary().c_str(), H5F_ACC_TRUNC, kind.get(), how.get()), H5Fclose);
    if (!file) fail("the file");
    const std::array<hsize_t, 4> dims{extent(0), extent(1), extent(2), extent(3)}, chunk{1, dims[1], dims[2], dims[3]};
    std::array<hsize_t, 4> most = dims;
    if (grows) most[0] = H5S_UNLIMITED;
    const Handle space(H5Screate_simple(4, dims.data(), most.data()), H5Sclose);
    const Handle properties = creation();
    H5Pset_chunk(properties.get(), 4, chunk.data());
    H5Pset_fletcher32(properties.get());
    const hid_t stored = info.bytes_per_pixel == 2 ? H5T_STD_U16LE : H5T_STD_U8LE;
    images =
        Handle(H5Dcreate2(file.get(), "images", stored, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT), H5Dclose);
    if (!images) fail("/images");
}

void H5Writer::State::make_room(hsize_t count) {
    const auto lock = h5::lock_library();
    info.count = static_cast<int64_t>(count);
    const std::array<hsize_t, 4> dims{count, extent(1), extent(2), extent(3)};
    if (H5Dset_extent(images.get(), dims.data()) < 0) fail("/images");
}

// Each image is a chunk, which goes to the file as the filter would leave it: through H5Dwrite, the library takes several
// times as long over a small one.
void H5Writer::State::write_images(std::span<const uint8_t> pixels) {
    const size_t size = image_bytes();
    std::vector<uint8_t> chunk(size + sizeof(uint32_t));
    const auto lock = h5::lock_library();
    for (size_t at = 0; at < pixels.size(); at += size) {
        std::memcpy(chunk.data(), pixels.data() + at, size);
        const uint32_t sums = fletcher32(pixels.subspan(at, size));
        for (size_t byte = 0; byte < sizeof sums; ++byte) chunk[size + byte] = static_cast<uint8_t>(sums >> (8 * byte));
        const std::array<hsize_t, 4> place{written, 0, 0, 0};
        constexpr uint32_t all_filters = 0;
        if (H5Dwrite_chunk(images.get(), H5P_DEFAULT, all_filters, place.data(), chunk.size(), chunk.data()) < 0)
            fail("/images");
        ++written;
    }
}

void H5Writer::State::write_dataset(const char* name, hid_t stored, hid_t type, std::vector<hsize_t> dims,
                                    const void* data) {
    const Handle space = space_of(dims), properties = creation();
    const bool empty = std::find(dims.begin(), dims.end(), 0) != dims.end();
    if (!empty) check_chunks(properties, dims, stored);
    const Handle set(H5Dcreate2(file.get(), name, stored, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
                     H5Dclose);
    if (!set || (!empty && H5Dwrite(set.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0))
        fail(fmt::format("/{}", name));
}

void H5Writer::State::write_strings(const char* name, const std::vector<std::string>& strings) {
    const size_t width = longest(strings);
    const Handle type = h5::string_type(width);
    write_dataset(name, type.get(), type.get(), {strings.size()}, pack(strings, width).data());
}

void H5Writer::State::write_attribute(const char* name, hid_t type, std::vector<hsize_t> dims, const void* data) {
    const Handle space = space_of(dims);
    const Handle attribute(H5Acreate2(file.get(), name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    if (!attribute || H5Awrite(attribute.get(), type, data) < 0) fail(fmt::format("attribute {}", name));
}

// Columns of text, below /meta.
void H5Writer::State::write_meta(const SetRecords& records) {
    if (records.meta.empty()) return;
    const Handle kind(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
    H5Pset_obj_track_times(kind.get(), false);
    const Handle group(H5Gcreate2(file.get(), "meta", H5P_DEFAULT, kind.get(), H5P_DEFAULT), H5Gclose);
    if (!group) fail("/meta");
    for (const auto& [name, values] : records.meta) {
        if (values.size() != written) throw Error(fmt::format("/meta/{} does not fit the number of images", name), path);
        write_strings(("meta/" + name).c_str(), values);
    }
}

// An attribute holds 64 KiB at most, less its head.
void H5Writer::State::write_class_names(const std::vector<std::string>& names) {
    constexpr size_t most_attribute_bytes = 60000;
    check_class_names(names, path);
    if (names.size() * longest(names) <= most_attribute_bytes)
        write_text_attribute("class_names", names, false);
    else
        write_strings("class_names", names);
}

void H5Writer::State::write_text_attribute(const char* name, const std::vector<std::string>& strings, bool scalar) {
    const size_t width = longest(strings);
    const Handle type = h5::string_type(width);
    const std::vector<hsize_t> dims = scalar ? std::vector<hsize_t>{} : std::vector<hsize_t>{strings.size()};
    write_attribute(name, type.get(), dims, pack(strings, width).data());
}

// Mean and standard deviation of each channel over the training images; over all where none is for training.
void H5Writer::State::fill_statistics(SetRecords& records) const {
    const auto channels = static_cast<size_t>(info.channels);
    const auto plane = static_cast<double>(info.height * info.width);
    const auto is_train = [&](size_t i) { return records.splits[i] == static_cast<uint8_t>(Split::train); };
    size_t used = 0;
    for (size_t i = 0; i < written; ++i) used += is_train(i);
    const bool all = used == 0;
    if (all) used = written;
    records.pixel_mean.assign(channels, 0);
    records.pixel_std.assign(channels, 0);
    for (size_t c = 0; c < channels && used > 0; ++c) {
        Moments total;
        for (size_t i = 0; i < written; ++i) {
            if (!all && !is_train(i)) continue;
            total.sum += moments[i * channels + c].sum;
            total.squares += moments[i * channels + c].squares;
        }
        const double count = static_cast<double>(used) * plane, mean = total.sum / count;
        records.pixel_mean[c] = mean;
        records.pixel_std[c] = std::sqrt(std::max(0.0, total.squares / count - mean * mean));
    }
}

// The library cannot close a file that it could not write; it keeps it, without the bytes.
void H5Writer::State::give_up() {
    images.abandon();
    file.abandon();
    const int ignored = ::truncate(target.temporary().c_str(), 0);
    static_cast<void>(ignored);
}

H5Writer::H5Writer(const std::string& path, const DatasetInfo& info, bool grows) : state_(std::make_unique<State>(path)) {
    const auto lock = h5::lock_library();
    state_->info = info;
    state_->grows = grows;
    try {
        state_->create();
    } catch (const Error&) {
        state_->give_up();
        throw;
    }
}

H5Writer::~H5Writer() {
    const auto lock = h5::lock_library();
    if (state_->failed) state_->give_up();
    state_->images = {};
    // What is left to write may be refused now.
    if (!state_->file.close()) state_->give_up();
}

void H5Writer::append(std::span<const uint8_t> pixels) {
    State& s = *state_;
    const hsize_t count = pixels.size() / s.image_bytes();
    if (pixels.size() % s.image_bytes() != 0 || (!s.grows && s.written + count > s.extent(0))) {
        throw Error("more pixels than were announced", s.path);
    }
    if (count == 0) return;
    if (s.written + count > s.extent(0)) s.make_room(s.written + count);
    const size_t channel_bytes = s.image_bytes() / s.extent(1);
    for (size_t at = 0; at < pixels.size(); at += channel_bytes) {
        s.moments.push_back(moments_of(pixels.data() + at, s.info.bytes_per_pixel, s.extent(2) * s.extent(3)));
    }
    s.write_images(pixels);
}

void H5Writer::finish(SetRecords& records) {
    State& s = *state_;
    const auto lock = h5::lock_library();
    const hsize_t n = s.written;
    const hsize_t k = records.info.class_names.size();
    const bool multilabel = records.info.multilabel;
    if (records.splits.size() != n || records.ids.size() != n ||
        (multilabel ? records.targets.size() != n * k : records.labels.size() != n)) {
        throw Error("labels, splits or ids do not fit the number of images", s.path);
    }
    const std::array<hsize_t, 4> dims{n, s.extent(1), s.extent(2), s.extent(3)};
    if (n < s.extent(0) && H5Dset_extent(s.images.get(), dims.data()) < 0) s.fail("/images");
    records.info.count = static_cast<int64_t>(n);
    s.fill_statistics(records);

    const bool some_unknown =
        std::find(records.targets.begin(), records.targets.end(), unknown_label) != records.targets.end();
    if (some_unknown) s.write_attribute("label_unknown", H5T_NATIVE_UINT8, {}, &unknown_label);
    if (multilabel)
        s.write_dataset("labels", H5T_STD_U8LE, H5T_NATIVE_UINT8, {n, k}, records.targets.data());
    else
        s.write_dataset("labels", H5T_STD_I32LE, H5T_NATIVE_INT32, {n}, records.labels.data());
    s.write_dataset("split", H5T_STD_U8LE, H5T_NATIVE_UINT8, {n}, records.splits.data());
    s.write_strings("ids", records.ids);
    if (!records.groups.empty()) s.write_strings("group", records.groups);
    if (!records.box_offsets.empty()) {
        s.write_dataset("boxes", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {records.boxes.size(), 5}, records.boxes.data());
        s.write_dataset("box_offsets", H5T_STD_I64LE, H5T_NATIVE_INT64, {n + 1}, records.box_offsets.data());
    }
    s.write_meta(records);
    s.write_class_names(records.info.class_names);
    s.write_text_attribute("source", {records.info.source}, true);
    s.write_text_attribute("created_by", {records.created_by}, true);
    if (!records.info.leaks.empty()) s.write_text_attribute("leaks", {records.info.leaks}, true);
    s.write_attribute("pixel_mean", H5T_NATIVE_DOUBLE, {records.pixel_mean.size()}, records.pixel_mean.data());
    s.write_attribute("pixel_std", H5T_NATIVE_DOUBLE, {records.pixel_std.size()}, records.pixel_std.data());

    if (!s.images.close() || !s.file.close()) s.fail("the file");
    s.target.commit();
}

void write_h5(const std::string& path, ImageSet& set) {
    H5Writer writer(path, set.records.info);
    writer.append(set.pixels);
    writer.finish(set.records);
}

}  // namespace xbench
