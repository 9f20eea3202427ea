// Decodes and resizes the files of a list on all threads, and writes them window by window. The order of the set is the
// order of the list, whatever the number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "data/import/import_list.h"
#include "data/import/journal.h"
#include "data/import/leaks.h"
#include "data/import/shared_import.h"
#include "data/set/h5.h"

namespace xbench {

struct DecodedItems {
    std::vector<const ImportItem*> kept;        // of the list, or of `frames`
    std::deque<ImportItem> frames;              // the further frames of files that hold several
    std::vector<std::string> renderings;        // of the kept images: how DICOM pixels were made, see Image
    std::vector<std::string> groups;            // of the kept images: as listed; of DICOM a keyed hash of the patient
    std::vector<std::string> digests;           // of the kept files' bytes
    std::vector<std::array<int64_t, 2>> sizes;  // of the kept files' images: width, height
    std::vector<ImportReport::Quarantined> failed;
    std::vector<LeftOut> left_out;                   // files that are no images by their kind
    int64_t warned = 0, rotated = 0, burned_in = 0;  // files, see ImportReport
    uint32_t largest_deep_sample = 0;                // of all 16-bit files; 0: there are none
    int bytes_per_pixel = 1;
    LeakFinder leaks;                  // has seen the kept images, unless the import does not look for leaks
    std::unique_ptr<H5Writer> writer;  // holds the pixels, unfinished
};

// `info` describes the set; its depth is found here. `shared` is null where this process works alone. The list must outlive
// the result.
// `journal` is null where nothing is kept for an import that goes on.
DecodedItems decode_items(const ImportOptions& options, const ImportList& list, DatasetInfo info,
                          const ImportObserver& observer, SharedImport* shared, ImportJournal* journal);

}  // namespace xbench
