// Small image files made on the spot, and a folder that is removed with the test.
#pragma once

#include <gtest/gtest.h>
#include <png.h>
#include <turbojpeg.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace xbench {

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "xbench_test_XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }
    std::string string() const { return path_.string(); }
    void write(const std::string& name, const std::vector<uint8_t>& bytes) const {
        const std::filesystem::path file = path_ / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    void write(const std::string& name, const std::string& text) const {
        write(name, std::vector<uint8_t>(text.begin(), text.end()));
    }

private:
    std::filesystem::path path_;
};

struct PngSpec {
    uint32_t width = 4, height = 4;
    int bits = 8, type = PNG_COLOR_TYPE_GRAY;
    bool interlaced = false;
    std::vector<png_color> palette = {};
};

// `rows` are packed as the file has them; 16-bit samples big-endian.
inline std::vector<uint8_t> encode_png(const PngSpec& spec, std::vector<uint8_t> rows) {
    std::vector<uint8_t> bytes;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(
        png, &bytes,
        [](png_structp writer, png_bytep data, size_t count) {
            auto* target = static_cast<std::vector<uint8_t>*>(png_get_io_ptr(writer));
            target->insert(target->end(), data, data + count);
        },
        nullptr);
    png_set_IHDR(png, info, spec.width, spec.height, spec.bits, spec.type,
                 spec.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (!spec.palette.empty()) png_set_PLTE(png, info, spec.palette.data(), static_cast<int>(spec.palette.size()));
    png_write_info(png, info);
    const size_t row_bytes = png_get_rowbytes(png, info);
    std::vector<png_bytep> pointers;
    for (size_t y = 0; y < spec.height; ++y) pointers.push_back(rows.data() + y * row_bytes);
    png_write_image(png, pointers.data());
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return bytes;
}

inline std::vector<uint8_t> gray_png(uint32_t width, uint32_t height, uint8_t value) {
    return encode_png({width, height}, std::vector<uint8_t>(size_t{width} * height, value));
}

// 1 or 3 interleaved channels, quality 95, without subsampling.
inline std::vector<uint8_t> encode_jpeg(int width, int height, int channels, const std::vector<uint8_t>& samples,
                                        int flags = 0) {
    tjhandle encoder = tjInitCompress();
    unsigned char* data = nullptr;
    unsigned long size = 0;
    tjCompress2(encoder, samples.data(), width, 0, height, channels == 1 ? TJPF_GRAY : TJPF_RGB, &data, &size,
                channels == 1 ? TJSAMP_GRAY : TJSAMP_444, 95, flags);
    std::vector<uint8_t> bytes(data, data + size);
    tjFree(data);
    tjDestroy(encoder);
    return bytes;
}

inline std::vector<uint8_t> gray_jpeg(int width, int height, uint8_t value) {
    return encode_jpeg(width, height, 1, std::vector<uint8_t>(static_cast<size_t>(width * height), value));
}

inline std::vector<uint8_t> read_bytes(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace xbench
