// What tests of the formats of public sets share: a source of small pictures, a table beside it, and what became of them.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/error.h"
#include "data/import/import.h"
#include "data/set/h5.h"
#include "image_files.h"

namespace xbench {

class Formats : public testing::Test {
protected:
    void add(const std::string& name, uint8_t value = 9) const { folder.write("src/" + name, gray_png(8, 8, value)); }
    ImportOptions options(const std::string& table = "") const {
        ImportOptions options;
        options.source = folder / "src";
        options.out = folder / "set.h5";
        options.size = 8;
        if (!table.empty()) {
            folder.write("labels.csv", table);
            options.labels = folder / "labels.csv";
        }
        return options;
    }
    SetRecords records() const { return read_h5_records(folder / "set.h5"); }
    static std::string refusal(const ImportOptions& options) {
        try {
            import_images(options);
        } catch (const Error& error) {
            return error.what();
        }
        return "accepted";
    }
    std::string text_of(const std::string& file) const {
        const auto bytes = read_bytes(folder / file);
        return {bytes.begin(), bytes.end()};
    }
    TemporaryFolder folder;
};

}  // namespace xbench
