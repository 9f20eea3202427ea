// What tests of the import share: a folder with a source of images in it, options to import that, and what a refusal says.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/error.h"
#include "data/import/import.h"
#include "image_files.h"

namespace xbench {

class ImportFixture : public testing::Test {
protected:
    ImportOptions options() const {
        ImportOptions options;
        options.source = folder / "src";
        options.out = folder / "set.h5";
        options.size = 8;
        return options;
    }
    void add(const std::string& name, int value = 1) const {
        folder.write("src/" + name, gray_png(8, 8, static_cast<uint8_t>(value)));
    }
    std::string refusal(const ImportOptions& chosen) const {
        try {
            import_images(chosen);
        } catch (const Error& error) {
            return error.what();
        }
        return "accepted";
    }
    TemporaryFolder folder;
};

}  // namespace xbench
