// Each thread takes the next item; what goes wrong with one is its outcome and nobody else's.
#include "data/import/item_decoder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <new>
#include <utility>

#include <fmt/core.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/parallel_for.h"
#include "data/import/decoders.h"

namespace xbench {
namespace {

constexpr int64_t most_file_bytes = int64_t{1} << 30;

// Throws Error with the system's reason.
void read_file(const std::string& path, std::vector<uint8_t>& bytes) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not make the import wait
    if (file < 0) throw Error(std::strerror(errno));
    struct stat status {};
    std::string failure;
    if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        failure = "not a regular file";
    else if (status.st_size > most_file_bytes)
        failure = "above 1 GiB";
    bytes.resize(failure.empty() ? static_cast<size_t>(status.st_size) : 0);
    size_t got = 0;
    while (failure.empty() && got < bytes.size()) {
        const ssize_t count = ::read(file, bytes.data() + got, bytes.size() - got);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) failure = std::strerror(errno);
        if (count <= 0) break;
        got += static_cast<size_t>(count);
    }
    ::close(file);
    if (!failure.empty()) throw Error(failure);
    bytes.resize(got);
}

uint32_t largest_sample(const Image& image) {
    if (image.bytes_per_sample != 2) return 0;
    const auto* samples = reinterpret_cast<const uint16_t*>(image.samples.data());
    return *std::max_element(samples, samples + image.samples.size() / 2);
}

}  // namespace

ItemDecoder::ItemDecoder(const ImportOptions& options, int threads)
    : options_(options), workers_(static_cast<size_t>(threads)) {}

size_t ItemDecoder::image_bytes(int bytes_per_pixel) const {
    return static_cast<size_t>(options_.channels * options_.size * options_.size * bytes_per_pixel);
}

void ItemDecoder::decode_one(const ImportItem& item, int bytes_per_pixel, Worker& worker, DecodedFile& outcome,
                             uint8_t* pixels) const {
    read_file((std::filesystem::path(options_.source) / item.path).string(), worker.file);
    outcome.digest = hash_hex({reinterpret_cast<const char*>(worker.file.data()), worker.file.size()});
    Image image = decode_image(worker.file, static_cast<int>(options_.channels), item.frame);
    outcome.size = {image.width, image.height};
    outcome.frames = image.frames;
    outcome.rendering = std::move(image.rendering);
    outcome.patient = std::move(image.patient);
    outcome.burned_in = image.burned_in;
    if (image.frames > 1) outcome.digest += fmt::format("[{}]", item.frame);
    outcome.warned = image.warnings > 0;
    outcome.rotated = image.exif_orientation != 1;
    if (image.bytes_per_sample > bytes_per_pixel) {
        outcome.deeper = true;
        return;
    }
    outcome.largest_deep_sample = largest_sample(image);
    if (image.bytes_per_sample == bytes_per_pixel) {
        worker.resizer.resize(image, options_.size, options_.size, pixels);
        return;
    }
    // An 8-bit file among 16-bit ones: 0..255 becomes 0..65535.
    worker.planes.resize(image_bytes(bytes_per_pixel) / 2);
    worker.resizer.resize(image, options_.size, options_.size, worker.planes.data());
    for (size_t i = 0; i < worker.planes.size(); ++i) {
        const auto wide = static_cast<uint16_t>(worker.planes[i] * 257);
        std::memcpy(pixels + 2 * i, &wide, sizeof wide);
    }
}

void ItemDecoder::decode(std::span<const ImportItem> items, int bytes_per_pixel, DecodedFile* files, uint8_t* pixels) {
    parallel_for(static_cast<int64_t>(items.size()), threads(), 1, [&](int64_t i, int worker) {
        const auto at = static_cast<size_t>(i);
        files[at] = {};
        try {
            decode_one(items[at], bytes_per_pixel, workers_[static_cast<size_t>(worker)], files[at],
                       pixels + at * image_bytes(bytes_per_pixel));
        } catch (const LeftOutByRule& rule) {
            files[at].rule = rule.what();
        } catch (const Error& error) {
            files[at].failure = error.what();
        } catch (const std::bad_alloc&) {
            files[at].failure = "not enough memory to decode it";
        }
    });
}

}  // namespace xbench
