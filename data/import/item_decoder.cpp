// Each thread takes the next item, or the next few; what goes wrong with one is its outcome and nobody else's.
#include "data/import/item_decoder.h"

#include <unistd.h>

#include <algorithm>

#include "core/hash.h"
#include "core/parallel_for.h"

namespace xbench {

ItemDecoder::ItemDecoder(const ImportOptions& options, int threads) : options_(options), threads_(threads) {
    for (int t = 0; t < threads; ++t) {
        decoders_.emplace_back(options.channels, options.size);
        if (!options.worker_program.empty())
            workers_.emplace_back(options.worker_program, worker::Setup{options.channels, options.size}, image_bytes(2));
    }
}

size_t ItemDecoder::image_bytes(int bytes_per_pixel) const {
    return static_cast<size_t>(options_.channels * options_.size * options_.size * bytes_per_pixel);
}

std::string ItemDecoder::path_of(const ImportItem& item) const { return path_below(options_.source, item.path); }

void ItemDecoder::decode(std::span<const ImportItem> items, int bytes_per_pixel, DecodedFile* files, uint8_t* pixels) {
    if (workers_.empty())
        decode_here(items, bytes_per_pixel, files, pixels);
    else
        decode_by_workers(items, bytes_per_pixel, files, pixels);
}

void ItemDecoder::decode_here(std::span<const ImportItem> items, int bytes_per_pixel, DecodedFile* files, uint8_t* pixels) {
    parallel_for(static_cast<int64_t>(items.size()), threads_, 1, [&](int64_t i, int thread) {
        const auto at = static_cast<size_t>(i);
        files[at] = {};
        const int file = open_image_file(path_of(items[at]), files[at].failure);
        if (file < 0) return;
        files[at] = decoders_[static_cast<size_t>(thread)].decode(file, items[at].frame, bytes_per_pixel,
                                                                  pixels + at * image_bytes(bytes_per_pixel));
        ::close(file);
    });
}

void ItemDecoder::decode_records(RecordReader& reader, std::span<const ImportItem> items, int bytes_per_pixel,
                                 DecodedFile* files, uint8_t* pixels) {
    std::vector<Image> images;
    for (const ImportItem& item : items) images.push_back(reader.read(item, static_cast<int>(options_.channels)));
    parallel_for(static_cast<int64_t>(items.size()), threads_, 1, [&](int64_t i, int thread) {
        const auto at = static_cast<size_t>(i);
        const auto& samples = images[at].samples;
        files[at] = {};
        files[at].digest = hash_hex({reinterpret_cast<const char*>(samples.data()), samples.size()});
        decoders_[static_cast<size_t>(thread)].fit(std::move(images[at]), bytes_per_pixel, files[at],
                                                   pixels + at * image_bytes(bytes_per_pixel));
    });
}

void ItemDecoder::decode_by_workers(std::span<const ImportItem> items, int bytes_per_pixel, DecodedFile* files,
                                    uint8_t* pixels) {
    const size_t batch = workers_.front().most_jobs(), batches = (items.size() + batch - 1) / batch;
    parallel_for(static_cast<int64_t>(batches), threads_, 1, [&](int64_t b, int thread) {
        const size_t first = static_cast<size_t>(b) * batch, count = std::min(batch, items.size() - first);
        std::vector<worker::Job> jobs(count);
        for (size_t i = 0; i < count; ++i) jobs[i] = {path_of(items[first + i]), items[first + i].frame};
        workers_[static_cast<size_t>(thread)].decode(jobs, bytes_per_pixel, files + first,
                                                     pixels + first * image_bytes(bytes_per_pixel));
    });
}

}  // namespace xbench
