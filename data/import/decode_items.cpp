// Two windows take turns: one is decoded while the other is written.
#include "data/import/decode_items.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <span>

#include "core/parallel_for.h"
#include "core/sha256.h"
#include "core/utf8.h"

namespace xbench {
namespace {

constexpr int64_t window_per_thread = 64;  // files a thread gets before the results are written

struct Window {
    std::vector<const ImportItem*> items;
    std::vector<uint8_t> pixels;
    std::vector<DecodedFile> outcomes;
};

class Decoding {
public:
    Decoding(const ImportOptions& options, const ImportList& list, const DatasetInfo& info, const ImportObserver& observer,
             SharedImport* shared, ImportJournal* journal)
        : options_(options),
          list_(list),
          observer_(observer),
          shared_(shared),
          journal_(journal),
          info_(info),
          decoder_(options, options.threads > 0 ? options.threads : usable_cores()) {}

    DecodedItems run() {
        // The depth is that of the deepest file; sets of 16 bits are known as such by their first files, and so are sets
        // that grow by the frames of a file.
        if (list_.items.empty()) return std::move(result_);
        if (journal_ != nullptr) {
            info_.bytes_per_pixel = journal_->head().bytes_per_pixel;
            grows_ = journal_->head().grows;
        }
        while (!decode_all()) {
        }
        name_groups();
        return std::move(result_);
    }

private:
    // False when 8 bits, or an image a file, turned out not to be enough; then nothing is kept.
    bool decode_all();
    bool enough_for(const Window& window);
    int64_t share() const { return window_per_thread * decoder_.threads() * (shared_ == nullptr ? 1 : shared_->ranks()); }
    void decode(std::span<const ImportItem> items, Window& window);
    void keep(Window& window, size_t from, size_t to);
    void keep_with_frames(Window& window);
    void keep_frames(const ImportItem& item, int64_t frames);
    void name_groups();
    void tell(int64_t done) const;

    const ImportOptions& options_;
    const ImportList& list_;
    const ImportObserver& observer_;
    SharedImport* const shared_;    // null: this process alone
    ImportJournal* const journal_;  // null: none
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    DatasetInfo info_;
    bool grows_ = false;  // some file holds several images
    size_t image_bytes_ = 0;
    std::vector<std::string> patients_;  // of the kept images
    ItemDecoder decoder_;
    DecodedItems result_;
};

bool has_frames(const ImportItem& item, const DecodedFile& file) {
    return file.has_pixels() && file.frames > 1 && item.frame == 0;
}

void Decoding::decode(std::span<const ImportItem> items, Window& window) {
    window.pixels.resize(items.size() * image_bytes_);
    window.outcomes.resize(items.size());
    window.items.clear();
    for (const ImportItem& item : items) window.items.push_back(&item);
    if (list_.records != nullptr)
        return decoder_.decode_records(*list_.records, items, info_.bytes_per_pixel, window.outcomes.data(),
                                       window.pixels.data());
    const size_t known =
        journal_ == nullptr ? 0 : journal_->take(items, image_bytes_, window.outcomes.data(), window.pixels.data());
    DecodedFile* const files = window.outcomes.data() + known;
    uint8_t* const pixels = window.pixels.data() + known * image_bytes_;
    const auto rest = items.subspan(known);
    if (shared_ != nullptr)
        shared_->decode(decoder_, rest, info_.bytes_per_pixel, files, pixels);
    else
        decoder_.decode(rest, info_.bytes_per_pixel, files, pixels);
    if (journal_ != nullptr) journal_->add(rest, image_bytes_, files, pixels);
}

void Decoding::keep(Window& window, size_t from, size_t to) {
    size_t good = from;
    for (size_t i = from; i < to; ++i) {
        const ImportItem& item = *window.items[i];
        DecodedFile& outcome = window.outcomes[i];
        if (!outcome.rule.empty()) result_.left_out.push_back({item.path, outcome.rule});
        if (!outcome.failure.empty()) result_.failed.push_back({item.path, outcome.failure});
        if (!outcome.has_pixels()) continue;
        if (good != i)
            std::memcpy(window.pixels.data() + good * image_bytes_, window.pixels.data() + i * image_bytes_, image_bytes_);
        ++good;
        result_.kept.push_back(&item);
        result_.groups.push_back(item.group.empty() && outcome.frames > 1 ? escape_bytes(item.path) : item.group);
        if (!item.group.empty()) outcome.patient.clear();
        patients_.push_back(std::move(outcome.patient));
        result_.renderings.push_back(std::move(outcome.rendering));
        result_.digests.push_back(std::move(outcome.digest));
        result_.sizes.push_back(outcome.size);
        result_.warned += outcome.warned;
        result_.rotated += outcome.rotated;
        result_.burned_in += outcome.burned_in;
        result_.largest_deep_sample = std::max(result_.largest_deep_sample, outcome.largest_deep_sample);
    }
    for (size_t i = from; options_.look_for_leaks && i < good; ++i)
        result_.leaks.add(window.pixels.data() + i * image_bytes_, info_.channels, info_.height, info_.width,
                          info_.bytes_per_pixel);
    result_.writer->append({window.pixels.data() + from * image_bytes_, (good - from) * image_bytes_});
}

// The further frames of a file come right behind its first.
void Decoding::keep_with_frames(Window& window) {
    size_t from = 0;
    for (size_t i = 0; i < window.items.size(); ++i) {
        const int64_t frames = window.outcomes[i].frames;
        if (!has_frames(*window.items[i], window.outcomes[i])) continue;
        keep(window, from, i + 1);
        keep_frames(*window.items[i], frames);
        from = i + 1;
    }
    keep(window, from, window.items.size());
}

void Decoding::keep_frames(const ImportItem& item, int64_t frames) {
    Window window;
    for (int64_t first = 1; first < frames; first += share()) {
        std::vector<ImportItem> items(static_cast<size_t>(std::min(share(), frames - first)), item);
        for (size_t i = 0; i < items.size(); ++i) items[i].frame = first + static_cast<int64_t>(i);
        decode(items, window);
        for (size_t i = 0; i < items.size(); ++i) {
            result_.frames.push_back(std::move(items[i]));
            window.items[i] = &result_.frames.back();
        }
        keep(window, 0, window.items.size());
    }
}

// Patients under names that only who has the key, or all the files, can find back.
void Decoding::name_groups() {
    std::string key = options_.patient_key;
    if (key.empty()) {
        for (const std::string& digest : result_.digests) key += digest;
    }
    key = hex_of(sha256(key));
    for (size_t i = 0; i < patients_.size(); ++i) {
        if (patients_[i].empty()) continue;
        result_.groups[i] =
            options_.keep_ids ? escape_bytes(patients_[i]) : "p-" + hex_of(hmac_sha256(key, patients_[i])).substr(0, 16);
    }
}

void Decoding::tell(int64_t done) const {
    if (!observer_ || done == 0) return;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const auto total = static_cast<int64_t>(list_.items.size());
    const int64_t own = std::max<int64_t>(1, done - (journal_ == nullptr ? 0 : journal_->taken()));  // files
    observer_({done, total, static_cast<int64_t>(list_.quarantined.size() + result_.failed.size()),
               seconds * static_cast<double>(total - done) / static_cast<double>(own)});
}

// Notes what the set needs beyond what it was made for.
bool Decoding::enough_for(const Window& window) {
    const auto deeper = [](const DecodedFile& file) { return file.deeper; };
    const bool too_deep = std::any_of(window.outcomes.begin(), window.outcomes.end(), deeper);
    bool more = false;
    for (size_t i = 0; i < window.items.size(); ++i) more = more || has_frames(*window.items[i], window.outcomes[i]);
    const bool enough = !too_deep && (!more || grows_);
    if (too_deep) info_.bytes_per_pixel = 2;
    grows_ = grows_ || more;
    return enough;
}

bool Decoding::decode_all() {
    image_bytes_ = decoder_.image_bytes(info_.bytes_per_pixel);
    result_ = {};
    patients_.clear();
    result_.bytes_per_pixel = info_.bytes_per_pixel;
    if (list_.records != nullptr) list_.records->rewind();
    result_.writer = std::make_unique<H5Writer>(options_.out, info_, grows_);
    std::array<Window, 2> windows;
    std::future<void> writing;  // behind the windows, so that its end is waited for before they go
    const auto total = static_cast<int64_t>(list_.items.size());
    int64_t at = 0;
    for (size_t turn = 0; at < total; turn ^= 1) {
        Window& window = windows[turn];
        decode(std::span(list_.items).subspan(static_cast<size_t>(at), static_cast<size_t>(std::min(share(), total - at))),
               window);
        if (writing.valid()) writing.get();
        if (!enough_for(window)) {
            if (journal_ != nullptr) journal_->begin({info_.bytes_per_pixel, grows_});
            return false;
        }
        tell(at);
        at += static_cast<int64_t>(window.outcomes.size());
        if (grows_)
            keep_with_frames(window);
        else
            writing = std::async(std::launch::async, [this, &window] { keep(window, 0, window.items.size()); });
    }
    if (writing.valid()) writing.get();
    tell(total);
    return true;
}

}  // namespace

DecodedItems decode_items(const ImportOptions& options, const ImportList& list, DatasetInfo info,
                          const ImportObserver& observer, SharedImport* shared, ImportJournal* journal) {
    return Decoding(options, list, info, observer, shared, journal).run();
}

}  // namespace xbench
