// Small files are read, large ones mapped: their bytes then count for no limit on memory.
#include "data/import/file_decoder.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <fmt/core.h>

#include "core/error.h"
#include "core/hash.h"
#include "data/import/decoders.h"

namespace xbench {
namespace {

constexpr int64_t most_file_bytes = int64_t{1} << 30, least_mapped_bytes = int64_t{8} << 20;

// The bytes of an open file, read into `buffer` or mapped. Throws Error with the system's reason.
class FileBytes {
public:
    FileBytes(int file, std::vector<uint8_t>& buffer) {
        struct stat status {};
        if (::fstat(file, &status) != 0) throw Error(std::strerror(errno));
        stamp_ = {status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
        if (!S_ISREG(status.st_mode)) throw Error("not a regular file");
        if (status.st_size > most_file_bytes) throw Error("above 1 GiB");
        const auto size = static_cast<size_t>(status.st_size);
        if (status.st_size >= least_mapped_bytes) {
            mapped_ = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
            if (mapped_ != MAP_FAILED) {
                bytes_ = {static_cast<const uint8_t*>(mapped_), size};
                return;
            }
        }
        buffer.resize(size);
        buffer.resize(read_all(file, buffer));
        bytes_ = buffer;
    }
    ~FileBytes() {
        if (mapped_ != MAP_FAILED) ::munmap(mapped_, bytes_.size());
    }
    FileBytes(const FileBytes&) = delete;
    FileBytes& operator=(const FileBytes&) = delete;
    std::span<const uint8_t> bytes() const { return bytes_; }
    const FileStamp& stamp() const { return stamp_; }

private:
    static size_t read_all(int file, std::span<uint8_t> bytes) {
        size_t got = 0;
        while (got < bytes.size()) {
            const ssize_t count = ::read(file, bytes.data() + got, bytes.size() - got);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) throw Error(std::strerror(errno));
            if (count == 0) break;
            got += static_cast<size_t>(count);
        }
        return got;
    }
    void* mapped_ = MAP_FAILED;
    FileStamp stamp_;
    std::span<const uint8_t> bytes_;
};

uint32_t largest_sample(const Image& image) {
    if (image.bytes_per_sample != 2) return 0;
    const auto* samples = reinterpret_cast<const uint16_t*>(image.samples.data());
    return *std::max_element(samples, samples + image.samples.size() / 2);
}

}  // namespace

void Packer::add(const void* data, size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), from, from + size);
}
void Packer::add(const std::string& text) {
    add(uint64_t{text.size()});
    add(text.data(), text.size());
}
void Packer::add(const DecodedFile& file) {
    for (const std::string* text : {&file.digest, &file.failure, &file.rule, &file.rendering, &file.patient}) add(*text);
    add(file.frames);
    add(file.size);
    add(file.stamp);
    add(file.largest_deep_sample);
    add(std::array<bool, 4>{file.warned, file.rotated, file.deeper, file.burned_in});
}

void Unpacker::take(void* data, size_t size) {
    if (size > bytes_.size()) throw Error("too little was sent", "import");
    if (size > 0) std::memcpy(data, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
}
void Unpacker::take(std::string& text) {
    uint64_t size = 0;
    take(size);
    if (size > bytes_.size()) throw Error("too little was sent", "import");
    text.resize(size);
    take(text.data(), size);
}
void Unpacker::take(DecodedFile& file) {
    std::array<uint8_t, 4> marks{};
    for (std::string* text : {&file.digest, &file.failure, &file.rule, &file.rendering, &file.patient}) take(*text);
    take(file.frames);
    take(file.size);
    take(file.stamp);
    take(file.largest_deep_sample);
    take(marks);
    file.warned = marks[0] != 0, file.rotated = marks[1] != 0, file.deeper = marks[2] != 0, file.burned_in = marks[3] != 0;
}

void FileDecoder::decode(std::span<const uint8_t> bytes, int64_t frame, int bytes_per_pixel, DecodedFile& outcome,
                         uint8_t* pixels) {
    outcome.digest = hash_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    Image image = decode_image(bytes, static_cast<int>(channels_), frame);
    if (image.frames > 1) outcome.digest += fmt::format("[{}]", frame);
    fit(std::move(image), bytes_per_pixel, outcome, pixels);
}

void FileDecoder::fit(Image image, int bytes_per_pixel, DecodedFile& outcome, uint8_t* pixels) {
    outcome.size = {image.width, image.height};
    outcome.frames = image.frames;
    outcome.rendering = std::move(image.rendering);
    outcome.patient = std::move(image.patient);
    outcome.burned_in = image.burned_in;
    outcome.warned = image.warnings > 0;
    outcome.rotated = image.exif_orientation != 1;
    outcome.deeper = image.bytes_per_sample > bytes_per_pixel;
    if (outcome.deeper) return;
    outcome.largest_deep_sample = largest_sample(image);
    if (image.bytes_per_sample == bytes_per_pixel) {
        resizer_.resize(image, size_, size_, pixels);
        return;
    }
    // An 8-bit file among 16-bit ones: 0..255 becomes 0..65535.
    planes_.resize(image_bytes(bytes_per_pixel) / 2);
    resizer_.resize(image, size_, size_, planes_.data());
    for (size_t i = 0; i < planes_.size(); ++i) {
        const auto wide = static_cast<uint16_t>(planes_[i] * 257);
        std::memcpy(pixels + 2 * i, &wide, sizeof wide);
    }
}

DecodedFile FileDecoder::decode(int file, int64_t frame, int bytes_per_pixel, uint8_t* pixels) {
    DecodedFile outcome;
    try {
        const FileBytes bytes(file, bytes_);
        outcome.stamp = bytes.stamp();
        decode(bytes.bytes(), frame, bytes_per_pixel, outcome, pixels);
    } catch (const LeftOutByRule& rule) {
        outcome.rule = rule.what();
    } catch (const Error& error) {
        outcome.failure = error.what();
    } catch (const std::bad_alloc&) {
        outcome.failure = "not enough memory to decode it";
    }
    return outcome;
}

FileStamp stamp_of(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return {};
    return {status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

std::string path_below(const std::string& folder, const std::string& path) {
    if (folder.empty() || path.starts_with('/')) return path;
    return folder.ends_with('/') ? folder + path : folder + '/' + path;
}

int open_image_file(const std::string& path, std::string& failure) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not make the import wait
    if (file < 0) failure = std::strerror(errno);
    return file;
}

}  // namespace xbench
