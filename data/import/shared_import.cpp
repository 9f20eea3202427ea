// Rank 0 sends a request (how many items, how deep) and their paths; every rank decodes its part, and all parts are
// gathered. A request of no items ends it.
#include "data/import/shared_import.h"

#include <array>
#include <cstddef>
#include <string>

#include "core/error.h"

namespace xbench {
namespace {

struct Request {
    int64_t items = 0, text_bytes = 0, bytes_per_pixel = 1;
};

struct Range {
    size_t begin, end;
};
Range part_of(size_t items, const Communicator& ranks) {
    const auto rank = static_cast<size_t>(ranks.rank()), size = static_cast<size_t>(ranks.size());
    return {items * rank / size, items * (rank + 1) / size};
}

void pack(Packer& to, const DecodedFile& file, const uint8_t* pixels, size_t image_bytes) {
    to.add(file);
    if (file.has_pixels()) to.add(pixels, image_bytes);
}

void unpack(Unpacker& from, DecodedFile& file, uint8_t* pixels, size_t image_bytes) {
    from.take(file);
    if (file.has_pixels()) from.take(pixels, image_bytes);
}

// This rank's part of the items, decoded and packed.
std::vector<std::byte> decode_part(ItemDecoder& decoder, std::span<const ImportItem> items, int bytes_per_pixel) {
    const size_t image_bytes = decoder.image_bytes(bytes_per_pixel);
    std::vector<DecodedFile> files(items.size());
    std::vector<uint8_t> pixels(items.size() * image_bytes);
    decoder.decode(items, bytes_per_pixel, files.data(), pixels.data());
    Packer packer;
    for (size_t i = 0; i < items.size(); ++i) pack(packer, files[i], pixels.data() + i * image_bytes, image_bytes);
    return std::move(packer.bytes);
}

}  // namespace

SharedImport::SharedImport(Communicator& ranks) : ranks_(ranks) {
    ranks_.wait_limit()->seconds = 0;  // listing a large source takes as long as it takes
}

SharedImport::~SharedImport() {
    try {
        Request end;
        ranks_.broadcast(&end, sizeof end, 0);
    } catch (const Error&) {  // the others are gone already
    }
}

void SharedImport::decode(ItemDecoder& decoder, std::span<const ImportItem> items, int bytes_per_pixel, DecodedFile* files,
                          uint8_t* pixels) {
    if (items.empty()) return;
    Packer text;
    for (const ImportItem& item : items) {
        text.add(item.path);
        text.add(item.frame);
    }
    Request request{static_cast<int64_t>(items.size()), static_cast<int64_t>(text.bytes.size()), bytes_per_pixel};
    ranks_.broadcast(&request, sizeof request, 0);
    ranks_.broadcast(text.bytes.data(), text.bytes.size(), 0);
    const Range own = part_of(items.size(), ranks_);
    const auto all =
        ranks_.all_gather_bytes(decode_part(decoder, items.subspan(own.begin, own.end - own.begin), bytes_per_pixel));
    Unpacker unpacker(all);
    const size_t image_bytes = decoder.image_bytes(bytes_per_pixel);
    for (size_t i = 0; i < items.size(); ++i) unpack(unpacker, files[i], pixels + i * image_bytes, image_bytes);
}

void serve_import(const ImportOptions& options, Communicator& ranks, int threads) {
    ranks.wait_limit()->seconds = 0;
    ItemDecoder decoder(options, threads);
    while (true) {
        Request request;
        ranks.broadcast(&request, sizeof request, 0);
        if (request.items == 0) return;
        std::vector<std::byte> text(static_cast<size_t>(request.text_bytes));
        ranks.broadcast(text.data(), text.size(), 0);
        std::vector<ImportItem> items(static_cast<size_t>(request.items));
        Unpacker unpacker(text);
        for (ImportItem& item : items) {
            unpacker.take(item.path);
            unpacker.take(item.frame);
        }
        const Range own = part_of(items.size(), ranks);
        const std::span<const ImportItem> part = std::span(items).subspan(own.begin, own.end - own.begin);
        ranks.all_gather_bytes(decode_part(decoder, part, static_cast<int>(request.bytes_per_pixel)));
    }
}

}  // namespace xbench
