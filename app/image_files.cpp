// A set of its own for a moment, in a temporary folder.
#include "app/image_files.h"

#include <cstdlib>
#include <filesystem>
#include <limits>

#include <fmt/core.h>

#include "app/installed.h"
#include "core/error.h"
#include "core/files.h"
#include "data/import/import.h"
#include "data/set/h5.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

// A folder that is removed with all that is in it.
struct ScratchFolder {
    ScratchFolder() {
        std::string name = (temporary_folder() / "xbench_images_XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) throw Error("cannot make a temporary folder", name, "check TMPDIR");
        path = name;
    }
    ~ScratchFolder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    fs::path path;
};

}  // namespace

bool is_image_source(const std::string& path) {
    std::error_code failure;
    if (fs::is_directory(path, failure)) return true;
    return fs::is_regular_file(path, failure) && !is_hdf5(path);
}

std::unique_ptr<Dataset> import_files(const ImageFiles& files, const LoadedModel& model) {
    const ScratchFolder scratch;
    ImportOptions options;
    options.source = files.path;
    options.out = (scratch.path / "images.h5").string();
    options.side_files = false;
    options.channels = model.description.model.channels;
    options.size = model.description.model.size;
    options.threads = files.threads;
    options.worker_program = decode_program();
    options.look_for_leaks = false;  // every image is in one split
    const ImportReport report = import_unlabelled(options);
    if (!files.verbosity.warnings()) return open_h5(options.out, std::numeric_limits<int64_t>::max());
    for (const auto& entry : report.quarantined) fmt::print(stderr, "left out {}: {}\n", entry.path, entry.reason);
    for (const auto& folder : report.unreadable)
        fmt::print(stderr, "WARNING: folder {} cannot be listed: {}\n", folder.path, folder.rule);
    if (report.files_imported != report.files_met) {
        fmt::print(stderr, "{} files: {} read, {} left out for their content, {} by rule (hidden, of a system or a NAS)\n",
                   report.files_met, report.files_imported, report.files_quarantined, report.ignored.size());
    }
    return open_h5(options.out, std::numeric_limits<int64_t>::max());  // read into memory: the file goes with the folder
}

WithoutLabels::WithoutLabels(const Dataset& images, const LoadedModel& model) : images_(images) {
    info_ = images.info();
    info_.class_names = model.description.class_names;
    info_.multilabel = model.description.model.multilabel;
    const auto count = static_cast<size_t>(info_.count);
    if (info_.multilabel)
        targets_.assign(count * info_.class_names.size(), 0);
    else
        labels_.assign(count, 0);
    splits_.assign(images.splits().begin(), images.splits().end());
    ids_ = images.ids();
}

}  // namespace xbench
