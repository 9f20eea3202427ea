// Image files in place of a data set, for predict and explain: decoded and resized as an import does it, so that training
// and prediction see the same pixels.
#pragma once

#include <memory>
#include <string>

#include "app/checkpoint_input.h"
#include "app/verbosity.h"
#include "data/set/dataset.h"

namespace xbench {

// A set begins as HDF5 does; anything else that is a file, and any folder, is taken for images.
bool is_image_source(const std::string& path);

struct ImageFiles {
    const std::string& path;  // a folder or a file
    int threads;
    const Verbosity& verbosity;
};
// At the model's size and channels; says on stderr what it left out. Labels mean nothing.
std::unique_ptr<Dataset> import_files(const ImageFiles& files, const LoadedModel& model);

// The images of another set with labels that suit the model, as its own may be of other classes or none.
class WithoutLabels : public Dataset {
public:
    WithoutLabels(const Dataset& images, const LoadedModel& model);
    void read(std::span<const int64_t> indices, float* images) const override { images_.read(indices, images); }
    std::string digest() const override { return images_.digest(); }

private:
    const Dataset& images_;
};

}  // namespace xbench
