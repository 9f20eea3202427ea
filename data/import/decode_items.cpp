// Two windows take turns: one is decoded while the other is written.
#include "data/import/decode_items.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <future>
#include <new>

#include "core/error.h"
#include "core/hash.h"
#include "core/parallel_for.h"
#include "data/import/decoders.h"
#include "data/import/resize.h"

namespace xbench {
namespace {

constexpr int64_t window_per_thread = 64;  // files a thread gets before the results are written
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

// What a thread keeps between files.
struct Worker {
    Resizer resizer;
    std::vector<uint8_t> file, planes;
};

// What is known of one file after decoding.
struct Outcome {
    std::string digest, failure;  // no failure: all is well
    std::array<int64_t, 2> size{};
    uint32_t largest_deep_sample = 0;
    bool warned = false, rotated = false;
};

struct Window {
    std::vector<uint8_t> pixels;
    std::vector<Outcome> outcomes;
};

class Decoding {
public:
    Decoding(const ImportOptions& options, const ImportList& list, const DatasetInfo& info, const ImportObserver& observer)
        : options_(options),
          list_(list),
          observer_(observer),
          threads_(options.threads > 0 ? options.threads : usable_cores()),
          info_(info),
          workers_(static_cast<size_t>(threads_)) {}

    DecodedItems run() {
        // The depth is that of the deepest file; sets of 16 bits are known as such by their first files.
        if (!list_.items.empty() && !decode_all(1)) decode_all(2);
        return std::move(result_);
    }

private:
    // False when 8 bits turned out not to be enough; then nothing is kept.
    bool decode_all(int bytes_per_pixel);
    void decode(int64_t first, Window& window);
    void decode_one(const ImportItem& item, Worker& worker, Outcome& outcome, uint8_t* pixels);
    void keep(int64_t first, Window& window);
    void tell(int64_t done) const;

    const ImportOptions& options_;
    const ImportList& list_;
    const ImportObserver& observer_;
    const int threads_;
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    DatasetInfo info_;
    size_t image_bytes_ = 0;
    std::vector<Worker> workers_;
    std::atomic<bool> deeper_{false};  // a 16-bit image was met while the set was to have 8
    DecodedItems result_;
};

void Decoding::decode_one(const ImportItem& item, Worker& worker, Outcome& outcome, uint8_t* pixels) {
    // An item without a path is the source itself.
    const std::filesystem::path source = options_.source;
    read_file(item.path.empty() ? source.string() : (source / item.path).string(), worker.file);
    outcome.digest = hash_hex({reinterpret_cast<const char*>(worker.file.data()), worker.file.size()});
    const Image image = decode_image(worker.file, static_cast<int>(options_.channels), item.frame);
    outcome.size = {image.width, image.height};
    outcome.warned = image.warnings > 0;
    outcome.rotated = image.exif_orientation != 1;
    if (image.bytes_per_sample > info_.bytes_per_pixel) {
        deeper_ = true;
        return;
    }
    outcome.largest_deep_sample = largest_sample(image);
    if (image.bytes_per_sample == info_.bytes_per_pixel) {
        worker.resizer.resize(image, options_.size, options_.size, pixels);
        return;
    }
    // An 8-bit file among 16-bit ones: 0..255 becomes 0..65535.
    worker.planes.resize(image_bytes_ / 2);
    worker.resizer.resize(image, options_.size, options_.size, worker.planes.data());
    for (size_t i = 0; i < worker.planes.size(); ++i) {
        const auto wide = static_cast<uint16_t>(worker.planes[i] * 257);
        std::memcpy(pixels + 2 * i, &wide, sizeof wide);
    }
}

void Decoding::decode(int64_t first, Window& window) {
    const int64_t count = std::min(window_per_thread * threads_, static_cast<int64_t>(list_.items.size()) - first);
    window.pixels.resize(static_cast<size_t>(count) * image_bytes_);
    window.outcomes.assign(static_cast<size_t>(count), {});
    parallel_for(count, threads_, 1, [&](int64_t i, int worker) {
        const auto at = static_cast<size_t>(i);
        Outcome& outcome = window.outcomes[at];
        try {
            decode_one(list_.items[static_cast<size_t>(first + i)], workers_[static_cast<size_t>(worker)], outcome,
                       window.pixels.data() + at * image_bytes_);
        } catch (const Error& error) {
            outcome.failure = error.what();
        } catch (const std::bad_alloc&) {
            outcome.failure = "not enough memory to decode it";
        }
    });
}

void Decoding::keep(int64_t first, Window& window) {
    size_t good = 0;
    for (size_t i = 0; i < window.outcomes.size(); ++i) {
        const ImportItem& item = list_.items[static_cast<size_t>(first) + i];
        Outcome& outcome = window.outcomes[i];
        if (!outcome.failure.empty()) {
            result_.failed.push_back({item.path, outcome.failure});
            continue;
        }
        if (good != i)
            std::memcpy(window.pixels.data() + good * image_bytes_, window.pixels.data() + i * image_bytes_, image_bytes_);
        ++good;
        result_.kept.push_back(&item);
        result_.digests.push_back(std::move(outcome.digest));
        result_.sizes.push_back(outcome.size);
        result_.warned += outcome.warned;
        result_.rotated += outcome.rotated;
        result_.largest_deep_sample = std::max(result_.largest_deep_sample, outcome.largest_deep_sample);
    }
    result_.writer->append({window.pixels.data(), good * image_bytes_});
}

void Decoding::tell(int64_t done) const {
    if (!observer_ || done == 0) return;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const auto total = static_cast<int64_t>(list_.items.size());
    observer_({done, total, static_cast<int64_t>(list_.quarantined.size() + result_.failed.size()),
               seconds * static_cast<double>(total - done) / static_cast<double>(done)});
}

bool Decoding::decode_all(int bytes_per_pixel) {
    info_.bytes_per_pixel = bytes_per_pixel;
    image_bytes_ = static_cast<size_t>(info_.channels * info_.height * info_.width * bytes_per_pixel);
    result_ = {};
    result_.bytes_per_pixel = bytes_per_pixel;
    result_.writer = std::make_unique<H5Writer>(options_.out, info_);
    deeper_ = false;
    std::array<Window, 2> windows;
    std::future<void> writing;  // behind the windows, so that its end is waited for before they go
    const auto total = static_cast<int64_t>(list_.items.size());
    int64_t at = 0;
    for (size_t turn = 0; at < total; turn ^= 1) {
        Window& window = windows[turn];
        decode(at, window);
        if (writing.valid()) writing.get();
        if (deeper_) return false;
        tell(at);
        writing = std::async(std::launch::async, [this, at, &window] { keep(at, window); });
        at += static_cast<int64_t>(window.outcomes.size());
    }
    if (writing.valid()) writing.get();
    tell(total);
    return true;
}

}  // namespace

DecodedItems decode_items(const ImportOptions& options, const ImportList& list, DatasetInfo info,
                          const ImportObserver& observer) {
    return Decoding(options, list, info, observer).run();
}

}  // namespace xbench
