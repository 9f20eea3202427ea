// Ranks share the decoding of an import. Rank 0 lists the files, hands them out in windows, writes and reports; every rank
// decodes its part of each window. The set has the same bytes at any number of ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/communicator.h"
#include "data/import/item_decoder.h"

namespace xbench {

// Rank 0's hand: while it lives the others wait for work; with its end, good or bad, they are done.
class SharedImport {
public:
    explicit SharedImport(Communicator& ranks);
    ~SharedImport();
    SharedImport(const SharedImport&) = delete;
    SharedImport& operator=(const SharedImport&) = delete;
    int ranks() const { return ranks_.size(); }
    // Decodes the items by all ranks; files and pixels as ItemDecoder gives them.
    void decode(ItemDecoder& decoder, std::span<const ImportItem> items, int bytes_per_pixel, DecodedFile* files,
                uint8_t* pixels);

private:
    Communicator& ranks_;
};

// What the other ranks do until rank 0 is done. `options` as rank 0 has them.
void serve_import(const ImportOptions& options, Communicator& ranks, int threads);

}  // namespace xbench
