// Reads the HDF5 set of format.md, as xbench or h5py wrote it. A file is not trusted: each size is checked against the
// limits below, and against what the file really stores, before anything is allocated for it.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include <fmt/core.h>

#include "core/error.h"
#include "core/utf8.h"
#include "data/set/h5.h"
#include "data/set/h5_handles.h"
#include "data/set/h5_probe.h"
#include "data/set/memory_dataset.h"

namespace xbench {
namespace {

using h5::Handle;

constexpr hsize_t max_images = hsize_t{1} << 31, max_side = 16384, max_channels = 1024, max_classes = 65536;
constexpr hsize_t max_text_bytes = 4096;  // of one string
constexpr hsize_t max_chunk_bytes = hsize_t{1} << 30;
constexpr hsize_t most_compression = 1100;  // deflate reaches about 1032 to 1

// An open set, and errors that name its file and place.
class Reader {
public:
    explicit Reader(const std::string& path);

    SetRecords records();
    hid_t images() const { return images_.get(); }
    hsize_t image_bytes() const { return extent_[1] * extent_[2] * extent_[3] * pixel_bytes_; }
    hsize_t count() const { return extent_[0]; }
    void read_images(hsize_t first, hsize_t count, uint8_t* pixels) const;

private:
    [[noreturn]] void fail_to_open() const;
    [[noreturn]] void fail(const std::string& place, const std::string& what, const std::string& remedy = {}) const;
    // The extent of a data set after checking its class of type, its rank, and that the file can hold it.
    std::vector<hsize_t> checked_extent(hid_t set, const std::string& place, H5T_class_t wanted) const;
    void check_storage(hid_t set, const std::string& place, hsize_t bytes) const;
    Handle open(const char* name, bool required) const;
    void open_images();
    void read_labels(SetRecords& records) const;
    void read_boxes(SetRecords& records) const;
    std::vector<std::string> strings(const char* name, hsize_t least, hsize_t most) const;
    std::vector<std::string> text_attribute(const char* name) const;
    std::vector<double> number_attribute(const char* name) const;
    template <class T>
    std::vector<T> numbers(hid_t set, const std::string& place, hid_t type, const std::vector<hsize_t>& extent) const;

    std::string path_;
    Handle file_, images_;
    std::array<hsize_t, 4> extent_{};
    hsize_t pixel_bytes_ = 1;
};

// In place of HDF5's words: the system's reason, or that the bytes are not what was written.
std::string why() {
    const std::string reason = h5::system_reason();
    return reason.empty() ? ": it is damaged (its checksum or its form is wrong)" : ": " + reason;
}

void Reader::fail(const std::string& place, const std::string& what, const std::string& remedy) const {
    throw Error(what, path_ + ":" + place,
                remedy.empty() ? "make the file again with xbench data import (data/format.md)" : remedy);
}

const char* kind_of(H5T_class_t type) {
    if (type == H5T_INTEGER) return "whole numbers";
    if (type == H5T_FLOAT) return "floating-point numbers";
    return type == H5T_STRING ? "strings" : "elements of another type";
}
const char* kind_of(hid_t type) { return kind_of(H5Tget_class(type)); }

void Reader::fail_to_open() const {
    const std::string reason = h5::system_reason();
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw Error(std::string("cannot be opened: ") + std::strerror(errno), path_, "check who may read it");
    const bool locked = ::flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    std::array<char, 12> head{};
    const ssize_t got = ::pread(file, head.data(), head.size(), 0);
    ::close(file);
    if (locked)
        throw Error("is open for writing in another process", path_, "wait until that has closed it, or read a copy");
    if (reason == std::strerror(ENOLCK))
        throw Error("cannot be locked: " + reason, path_,
                    "set HDF5_USE_FILE_LOCKING=FALSE where the file system has no locks");
    if (got <= 0) fail("/", "is not a readable HDF5 file: it is empty");
    if (std::memcmp(head.data(), "\x89HDF\r\n\x1a\n", 8) != 0)
        fail("/", "is not a readable HDF5 file: it does not begin like one");
    const bool left_open = head[8] >= 3 && (head[11] & 5) != 0;  // the writer's marks in the superblock
    if (left_open)
        fail("/", "was not closed by the program that wrote it",
             "h5clear -s takes the mark away; better make the file again");
    fail("/", "is not a readable HDF5 file: it is cut off or damaged");
}

Reader::Reader(const std::string& path) : path_(path) {
    if (!is_utf8(path)) throw UsageError("the path is not UTF-8", escape_bytes(path), "rename the file or its folders");
    std::error_code failure;
    if (!std::filesystem::exists(path, failure)) {
        if (failure && failure != std::errc::no_such_file_or_directory)
            throw Error("cannot be looked at: " + failure.message(), path);
        throw Error("there is no such file", path, "make one with xbench data import or xbench data synth");
    }
    if (!std::filesystem::is_regular_file(path, failure)) throw Error("is not a file", path, "name an HDF5 set");
    file_ = Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    if (!file_) fail_to_open();
    open_images();
}

Handle Reader::open(const char* name, bool required) const {
    const std::string place = std::string("/") + name;
    H5L_info_t link;
    if (H5Lget_info(file_.get(), name, &link, H5P_DEFAULT) < 0) {
        if (required) fail(place, "is missing");
        return {};
    }
    if (link.type != H5L_TYPE_HARD) fail(place, "is a link to elsewhere", "copy the data into one file (h5repack)");
    H5O_info_t object;
    if (H5Oget_info_by_name2(file_.get(), name, &object, H5O_INFO_BASIC, H5P_DEFAULT) < 0 ||
        object.type != H5O_TYPE_DATASET) {
        fail(place, "is not a data set");
    }
    Handle set(H5Dopen2(file_.get(), name, H5P_DEFAULT), H5Dclose);
    if (!set) fail(place, "cannot be opened" + why());
    return set;
}

void Reader::check_storage(hid_t set, const std::string& place, hsize_t bytes) const {
    const Handle properties(H5Dget_create_plist(set), H5Pclose);
    const H5D_layout_t layout = H5Pget_layout(properties.get());
    if ((layout != H5D_CHUNKED && layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) ||
        H5Pget_external_count(properties.get()) != 0) {
        fail(place, "lies outside of the file", "copy the data into one file (h5repack)");
    }
    hsize_t compression = 1;
    if (layout == H5D_CHUNKED) {
        std::array<hsize_t, H5S_MAX_RANK> chunk{};
        const int rank = H5Pget_chunk(properties.get(), H5S_MAX_RANK, chunk.data());
        const Handle type(H5Dget_type(set), H5Tclose);
        hsize_t chunk_bytes = H5Tget_size(type.get());
        for (int i = 0; i < rank; ++i) {
            if (chunk[static_cast<size_t>(i)] > max_chunk_bytes / std::max<hsize_t>(1, chunk_bytes))
                fail(place, "has chunks above 1 GiB");
            chunk_bytes *= chunk[static_cast<size_t>(i)];
        }
        compression = most_compression;
    }
    const hsize_t stored = H5Dget_storage_size(set);
    std::error_code unknown;
    const std::uintmax_t size = std::filesystem::file_size(path_, unknown);
    const hsize_t file_bytes = unknown ? 0 : size;
    if (stored > file_bytes || bytes / compression > stored) {
        fail(place, fmt::format("claims {} bytes of which the file holds {}", bytes, std::min(stored, file_bytes)));
    }
}

std::vector<hsize_t> Reader::checked_extent(hid_t set, const std::string& place, H5T_class_t wanted) const {
    const Handle type(H5Dget_type(set), H5Tclose), space(H5Dget_space(set), H5Sclose);
    if (!type || !space) fail(place, "has no readable type or extent");
    if (H5Tget_class(type.get()) != wanted)
        fail(place, std::string("holds ") + kind_of(type.get()) + ", where a set has " + kind_of(wanted));
    const int rank = H5Sget_simple_extent_ndims(space.get());
    if (rank < 1 || rank > 4) fail(place, fmt::format("has {} dimensions", rank));
    std::vector<hsize_t> extent(static_cast<size_t>(rank));
    H5Sget_simple_extent_dims(space.get(), extent.data(), nullptr);
    hsize_t bytes = H5Tget_size(type.get());
    for (const hsize_t length : extent) {
        if (bytes != 0 && length > (hsize_t{1} << 62) / bytes) fail(place, "claims an absurd size");
        bytes *= length;
    }
    check_storage(set, place, bytes);
    return extent;
}

void Reader::open_images() {
    images_ = open("images", true);
    const Handle stored(H5Dget_type(images_.get()), H5Tclose);
    if (H5Tget_class(stored.get()) == H5T_FLOAT) {
        fail("/images", "holds floating-point numbers, where a set has uint8 or uint16",
             "store numpy.round(images * 255).astype('uint8') for pixels from 0 to 1");
    }
    const auto extent = checked_extent(images_.get(), "/images", H5T_INTEGER);
    if (extent.size() != 4) fail("/images", fmt::format("has {} dimensions", extent.size()), "store {N,C,H,W}");
    std::copy(extent.begin(), extent.end(), extent_.begin());
    if (extent[3] <= 4 && extent[1] > 4 && extent[2] > 4 && extent[1] == extent[2]) {
        fail("/images",
             fmt::format("is {}x{}x{}x{}, which looks like {{N,H,W,C}}", extent[0], extent[1], extent[2], extent[3]),
             "store {N,C,H,W}: images.transpose(0, 3, 1, 2)");
    }
    if (extent[0] > max_images || extent[1] > max_channels || extent[2] > max_side || extent[3] > max_side ||
        std::find(extent.begin(), extent.end(), 0) != extent.end()) {
        fail(
            "/images", fmt::format("is {}x{}x{}x{}", extent[0], extent[1], extent[2], extent[3]),
            fmt::format("1 to {} images, {} channels and {} pixels a side can be read", max_images, max_channels, max_side));
    }
    const Handle type(H5Dget_type(images_.get()), H5Tclose);
    pixel_bytes_ = H5Tget_size(type.get());
    if (H5Tget_sign(type.get()) != H5T_SGN_NONE || (pixel_bytes_ != 1 && pixel_bytes_ != 2)) {
        fail("/images", "is neither uint8 nor uint16", "store pixels as uint8 or uint16");
    }
}

void Reader::read_images(hsize_t first, hsize_t count, uint8_t* pixels) const {
    const std::array<hsize_t, 4> start{first, 0, 0, 0}, block{count, extent_[1], extent_[2], extent_[3]};
    const Handle memory(H5Screate_simple(4, block.data(), nullptr), H5Sclose), space(H5Dget_space(images_.get()), H5Sclose);
    H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, block.data(), nullptr);
    const hid_t type = pixel_bytes_ == 2 ? H5T_NATIVE_UINT16 : H5T_NATIVE_UINT8;
    if (H5Dread(images_.get(), type, memory.get(), space.get(), H5P_DEFAULT, pixels) < 0) {
        const std::string place =
            count == 1 ? fmt::format("/images[{}]", first) : fmt::format("/images[{}..{}]", first, first + count - 1);
        fail(place, "cannot be read" + why());
    }
}

template <class T>
std::vector<T> Reader::numbers(hid_t set, const std::string& place, hid_t type, const std::vector<hsize_t>& extent) const {
    size_t count = 1;
    for (const hsize_t length : extent) count *= length;
    std::vector<T> values(count);
    if (count > 0 && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
        fail(place, "cannot be read" + why());
    }
    return values;
}

// Strings of fixed or (as h5py writes by default) of variable length. What is not UTF-8 is escaped.
std::vector<std::string> unpack(hid_t type, const std::vector<char>& raw, size_t count) {
    const size_t width = H5Tget_size(type);
    std::vector<std::string> strings(count);
    for (size_t i = 0; i < count; ++i) {
        const char* text = raw.data() + i * width;
        if (H5Tis_variable_str(type) > 0) {
            std::memcpy(&text, raw.data() + i * width, sizeof text);
            if (text != nullptr) strings[i] = text;
        } else {
            strings[i].assign(text, strnlen(text, width));
            if (H5Tget_strpad(type) == H5T_STR_SPACEPAD) strings[i].erase(strings[i].find_last_not_of(' ') + 1);
        }
        if (!is_utf8(strings[i])) strings[i] = escape_bytes(strings[i]);
    }
    return strings;
}

std::vector<std::string> Reader::strings(const char* name, hsize_t least, hsize_t most) const {
    const Handle set = open(name, false);
    if (!set) return {};
    const std::string place = std::string("/") + name;
    const auto extent = checked_extent(set.get(), place, H5T_STRING);
    if (extent.size() != 1 || extent[0] < least || extent[0] > most) fail(place, fmt::format("must have {} entries", most));
    const Handle type(H5Dget_type(set.get()), H5Tclose);
    if (H5Tget_size(type.get()) > max_text_bytes) fail(place, fmt::format("has strings above {} bytes", max_text_bytes));
    std::vector<char> raw(extent[0] * H5Tget_size(type.get()));
    // The type in the file is the type in memory: no conversion.
    if (H5Dread(set.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, raw.data()) < 0) {
        fail(place, "cannot be read" + why());
    }
    auto result = unpack(type.get(), raw, extent[0]);
    if (H5Tis_variable_str(type.get()) > 0) {
        const Handle space(H5Dget_space(set.get()), H5Sclose);
        H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, raw.data());
    }
    return result;
}

std::vector<std::string> Reader::text_attribute(const char* name) const {
    if (H5Aexists(file_.get(), name) <= 0) return {};
    const std::string place = std::string("/@") + name;
    const Handle attribute(H5Aopen(file_.get(), name, H5P_DEFAULT), H5Aclose);
    if (!attribute) fail(place, "cannot be opened" + why());
    const Handle type(H5Aget_type(attribute.get()), H5Tclose), space(H5Aget_space(attribute.get()), H5Sclose);
    const hssize_t count = H5Sget_simple_extent_npoints(space.get());
    if (H5Tget_class(type.get()) != H5T_STRING || count < 0 || count > static_cast<hssize_t>(max_classes) ||
        H5Tget_size(type.get()) > max_text_bytes) {
        fail(place, "is not a list of names");
    }
    std::vector<char> raw(std::max<size_t>(1, static_cast<size_t>(count) * H5Tget_size(type.get())));
    if (H5Aread(attribute.get(), type.get(), raw.data()) < 0) fail(place, "cannot be read" + why());
    auto result = unpack(type.get(), raw, static_cast<size_t>(count));
    if (H5Tis_variable_str(type.get()) > 0) H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, raw.data());
    return result;
}

std::vector<double> Reader::number_attribute(const char* name) const {
    if (H5Aexists(file_.get(), name) <= 0) return {};
    const std::string place = std::string("/@") + name;
    const Handle attribute(H5Aopen(file_.get(), name, H5P_DEFAULT), H5Aclose);
    const Handle type(H5Aget_type(attribute.get()), H5Tclose), space(H5Aget_space(attribute.get()), H5Sclose);
    const hssize_t count = H5Sget_simple_extent_npoints(space.get());
    if (count < 0 || count > static_cast<hssize_t>(max_channels) || H5Tget_class(type.get()) != H5T_FLOAT)
        fail(place, "is not a list of numbers");
    std::vector<double> values(static_cast<size_t>(count));
    if (count > 0 && H5Aread(attribute.get(), H5T_NATIVE_DOUBLE, values.data()) < 0) fail(place, "cannot be read");
    return values;
}

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
        if (std::any_of(records.targets.begin(), records.targets.end(), [](uint8_t target) { return target > 1; })) {
            fail("/labels", "of several classes must be 0 or 1");
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
    const auto author = text_attribute("created_by");
    if (!author.empty()) records.created_by = author.front();
    const auto origin = text_attribute("source");
    if (!origin.empty()) records.source = origin.front();
    records.pixel_mean = number_attribute("pixel_mean");
    records.pixel_std = number_attribute("pixel_std");
    return records;
}

// A set too large for memory: each image is read from its chunk when asked for.
class FileDataset : public Dataset {
public:
    FileDataset(Reader reader, SetRecords records) : reader_(std::move(reader)) {
        info_ = std::move(records.info);
        labels_ = std::move(records.labels);
        targets_ = std::move(records.targets);
        splits_ = std::move(records.splits);
        ids_ = std::move(records.ids);
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
