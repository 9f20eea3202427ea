// Two windows take turns: one is decoded while the other is written.
#include "data/import/decode_items.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <span>

#include "core/parallel_for.h"

namespace xbench {
namespace {

constexpr int64_t window_per_thread = 64;  // files a thread gets before the results are written

struct Window {
    std::vector<uint8_t> pixels;
    std::vector<DecodedFile> outcomes;
};

class Decoding {
public:
    Decoding(const ImportOptions& options, const ImportList& list, const DatasetInfo& info, const ImportObserver& observer,
             SharedImport* shared)
        : options_(options),
          list_(list),
          observer_(observer),
          shared_(shared),
          info_(info),
          decoder_(options, options.threads > 0 ? options.threads : usable_cores()) {}

    DecodedItems run() {
        // The depth is that of the deepest file; sets of 16 bits are known as such by their first files.
        if (!list_.items.empty() && !decode_all(1)) decode_all(2);
        return std::move(result_);
    }

private:
    // False when 8 bits turned out not to be enough; then nothing is kept.
    bool decode_all(int bytes_per_pixel);
    void decode(int64_t first, Window& window);
    void keep(int64_t first, Window& window);
    void tell(int64_t done) const;

    const ImportOptions& options_;
    const ImportList& list_;
    const ImportObserver& observer_;
    SharedImport* const shared_;  // null: this process alone
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    DatasetInfo info_;
    size_t image_bytes_ = 0;
    ItemDecoder decoder_;
    DecodedItems result_;
};

void Decoding::decode(int64_t first, Window& window) {
    const int64_t share = window_per_thread * decoder_.threads() * (shared_ == nullptr ? 1 : shared_->ranks());
    const int64_t count = std::min(share, static_cast<int64_t>(list_.items.size()) - first);
    window.pixels.resize(static_cast<size_t>(count) * image_bytes_);
    window.outcomes.resize(static_cast<size_t>(count));
    const auto items = std::span(list_.items).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    if (shared_ != nullptr)
        shared_->decode(decoder_, items, info_.bytes_per_pixel, window.outcomes.data(), window.pixels.data());
    else
        decoder_.decode(items, info_.bytes_per_pixel, window.outcomes.data(), window.pixels.data());
}

void Decoding::keep(int64_t first, Window& window) {
    size_t good = 0;
    for (size_t i = 0; i < window.outcomes.size(); ++i) {
        const ImportItem& item = list_.items[static_cast<size_t>(first) + i];
        DecodedFile& outcome = window.outcomes[i];
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
    image_bytes_ = decoder_.image_bytes(bytes_per_pixel);
    result_ = {};
    result_.bytes_per_pixel = bytes_per_pixel;
    result_.writer = std::make_unique<H5Writer>(options_.out, info_);
    std::array<Window, 2> windows;
    std::future<void> writing;  // behind the windows, so that its end is waited for before they go
    const auto total = static_cast<int64_t>(list_.items.size());
    int64_t at = 0;
    for (size_t turn = 0; at < total; turn ^= 1) {
        Window& window = windows[turn];
        decode(at, window);
        if (writing.valid()) writing.get();
        const auto deeper = [](const DecodedFile& file) { return file.deeper; };
        if (std::any_of(window.outcomes.begin(), window.outcomes.end(), deeper)) return false;
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
                          const ImportObserver& observer, SharedImport* shared) {
    return Decoding(options, list, info, observer, shared).run();
}

}  // namespace xbench
