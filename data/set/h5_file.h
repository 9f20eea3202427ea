// An open set: its parts by name. Every size is checked before anything is allocated for it, and errors name file, place
// and remedy. Used by h5_reader.cpp, under the library's lock.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/set/h5_handles.h"
#include "data/set/image_set.h"

namespace xbench::h5 {

inline constexpr hsize_t max_images = hsize_t{1} << 31, max_side = 16384, max_channels = 1024, max_classes = 65536,
                         max_meta = 256;

// In place of HDF5's words behind a failure: the system's reason, or that the bytes are not what was written.
std::string why();

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
    void read_meta(SetRecords& records) const;
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

}  // namespace xbench::h5
