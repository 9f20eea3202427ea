// Files to pixels of one size: a batch of items at a time, by all threads of this process, into one buffer. Where the import
// names a program for it, each thread hands its files to a worker process of its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/import/file_decoder.h"
#include "data/import/import_list.h"
#include "data/import/worker/process.h"

namespace xbench {

class ItemDecoder {
public:
    ItemDecoder(const ImportOptions& options, int threads);
    int threads() const { return threads_; }
    size_t image_bytes(int bytes_per_pixel) const;
    // Image i lies at pixels + i * image_bytes().
    void decode(std::span<const ImportItem> items, int bytes_per_pixel, DecodedFile* files, uint8_t* pixels);

    // Records of a container: read by one thread, made to fit by all.
    void decode_records(RecordReader& reader, std::span<const ImportItem> items, int bytes_per_pixel, DecodedFile* files,
                        uint8_t* pixels);

private:
    void decode_here(std::span<const ImportItem> items, int bytes_per_pixel, DecodedFile* files, uint8_t* pixels);
    void decode_by_workers(std::span<const ImportItem> items, int bytes_per_pixel, DecodedFile* files, uint8_t* pixels);
    std::string path_of(const ImportItem& item) const;

    const ImportOptions& options_;
    const int threads_;
    std::vector<FileDecoder> decoders_;     // one a thread
    std::vector<worker::Process> workers_;  // the same, where files go to processes
};

}  // namespace xbench
