// One file's bytes to pixels of the set's size, and what is known of the file afterwards. What goes wrong is the file's
// outcome. Used by the import's threads and, for files that are not trusted, by its worker processes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/import/resize.h"

namespace xbench {

// When a file was written and how long it is.
struct FileStamp {
    int64_t size = -1, seconds = 0, nanoseconds = 0;
    bool operator==(const FileStamp&) const = default;
};

struct DecodedFile {
    std::string digest, failure;     // no failure: all is well
    std::string rule;                // by which the file is left out: it is no image by its kind
    std::string rendering, patient;  // of DICOM, see Image
    int64_t frames = 1;              // that the file holds
    std::array<int64_t, 2> size{};
    uint32_t largest_deep_sample = 0;  // of 16-bit files
    bool warned = false, rotated = false, burned_in = false;
    FileStamp stamp;      // of the file that was decoded; none where it was not opened
    bool deeper = false;  // 16 bits where 8 were to do: no pixels
    bool has_pixels() const { return failure.empty() && rule.empty() && !deeper; }
};

// Values one after the other, as bytes: between ranks, and between the import and its workers.
class Packer {
public:
    template <class T>
    void add(const T& value) {
        add(&value, sizeof value);
    }
    void add(const void* data, size_t size);
    void add(const std::string& text);
    void add(const DecodedFile& file);
    std::vector<std::byte> bytes;
};

// Throws Error where there is too little.
class Unpacker {
public:
    explicit Unpacker(std::span<const std::byte> bytes) : bytes_(bytes) {}
    void take(void* data, size_t size);
    template <class T>
    void take(T& value) {
        take(&value, sizeof value);
    }
    void take(std::string& text);
    void take(DecodedFile& file);

private:
    std::span<const std::byte> bytes_;
};

// For one thread.
class FileDecoder {
public:
    FileDecoder(int64_t channels, int64_t size) : channels_(channels), size_(size) {}
    size_t image_bytes(int bytes_per_pixel) const {
        return static_cast<size_t>(channels_ * size_ * size_ * bytes_per_pixel);
    }
    // `file` is open for reading. Writes image_bytes() of pixels where the outcome has_pixels().
    DecodedFile decode(int file, int64_t frame, int bytes_per_pixel, uint8_t* pixels);
    // An image that is decoded already.
    void fit(Image image, int bytes_per_pixel, DecodedFile& outcome, uint8_t* pixels);

private:
    void decode(std::span<const uint8_t> bytes, int64_t frame, int bytes_per_pixel, DecodedFile& outcome, uint8_t* pixels);

    const int64_t channels_, size_;
    Resizer resizer_;
    std::vector<uint8_t> bytes_, planes_;
};

// Of a file by its name; none where there is none.
FileStamp stamp_of(const std::string& path);
// `path` below `folder`, as std::filesystem joins them.
std::string path_below(const std::string& folder, const std::string& path);
// Opens a file for FileDecoder without waiting for what is no file; -1 with the reason in `failure`.
int open_image_file(const std::string& path, std::string& failure);

}  // namespace xbench
