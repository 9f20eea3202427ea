// Opens sets that xbench or h5py wrote. A file is not trusted: each size is checked against the limits, and against what the
// file really stores.
#include "data/set/h5_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/core.h>

#include "core/error.h"
#include "core/utf8.h"

namespace xbench::h5 {
namespace {

constexpr hsize_t max_text_bytes = 4096;  // of one string
constexpr hsize_t max_chunk_bytes = hsize_t{1} << 30;
constexpr hsize_t most_compression = 1100;  // deflate reaches about 1032 to 1

const char* kind_of(H5T_class_t type) {
    if (type == H5T_INTEGER) return "whole numbers";
    if (type == H5T_FLOAT) return "floating-point numbers";
    return type == H5T_STRING ? "strings" : "elements of another type";
}
const char* kind_of(hid_t type) { return kind_of(H5Tget_class(type)); }

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

}  // namespace

// In place of HDF5's words: the system's reason, or that the bytes are not what was written.
std::string why() {
    const std::string reason = h5::system_reason();
    return reason.empty() ? ": it is damaged (its checksum or its form is wrong)" : ": " + reason;
}

void Reader::fail(const std::string& place, const std::string& what, const std::string& remedy) const {
    throw Error(what, path_ + ":" + place,
                remedy.empty() ? "make the file again with xbench data import (data/format.md)" : remedy);
}

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

}  // namespace xbench::h5
