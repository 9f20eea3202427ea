// What an import has decoded so far, beside the set that it will become, so that a killed import goes on where it was
// instead of decoding everything again: SET.import-journal, one record a file, gone once the set is there. (The HDF5 file
// itself cannot serve: one that was open when its process was killed is often not readable.)
//
// A journal belongs to one list of files and one way to decode them. A record is used only where the file has the size and
// time that it had, and where the record's checksum is right; the journal is believed up to the first that is not.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/import/file_decoder.h"
#include "data/import/import_list.h"

namespace xbench {

class ImportJournal {
public:
    struct Head {
        int bytes_per_pixel = 1;
        bool grows = false;  // some file holds several images
    };
    // Opens the journal of this list, or begins one. Throws Error where another import writes it, or where it cannot be
    // made. Half-written sets that killed imports have left are removed.
    ImportJournal(const ImportOptions& options, const ImportList& list);
    ~ImportJournal();
    ImportJournal(const ImportJournal&) = delete;
    ImportJournal& operator=(const ImportJournal&) = delete;

    Head head() const;
    int64_t taken() const;  // files that did not have to be decoded again
    void begin(Head head);  // anew: everything is to be decoded again
    void rewind();          // to the first record
    // The first of these items that the journal holds next, with their pixels. Returns how many.
    size_t take(std::span<const ImportItem> items, size_t image_bytes, DecodedFile* files, uint8_t* pixels);
    // Appends; on a full disk the journal ends, and the import goes on without.
    void add(std::span<const ImportItem> items, size_t image_bytes, const DecodedFile* files, const uint8_t* pixels);
    void remove();  // the set is there

private:
    struct State;
    std::unique_ptr<State> state_;
};

std::string journal_path(const std::string& set);

}  // namespace xbench
