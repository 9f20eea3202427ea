// The folder of a run. It belongs to one run and, while that run goes on, to one process. No other run may write into it:
// two runs in one folder would look like one, and each would resume the other's checkpoints.
#pragma once

#include <filesystem>
#include <string>

#include "core/config.h"

namespace xbench {

enum class FolderUse {
    fresh,      // refused where a run is
    overwrite,  // its files are removed first
    resume      // they stay
};

// Whether a training run or a sweep has left anything there.
bool holds_run(const std::filesystem::path& folder);

class RunFolder {
public:
    // Makes the folder where it is missing and locks it. Throws UsageError where it holds a run, unless `use` allows that,
    // and where another process works in it.
    RunFolder(std::filesystem::path path, FolderUse use);
    // Unlocks it. A folder that this object has made and that is still empty is removed.
    ~RunFolder();
    RunFolder(const RunFolder&) = delete;
    RunFolder& operator=(const RunFolder&) = delete;
    const std::filesystem::path& path() const { return path_; }

private:
    void lock();
    std::filesystem::path path_;
    bool made_ = false;
    int lock_ = -1;
};

// The configuration with its paths absolute, as config.resolved.json has them: it is read again from any folder.
Config with_absolute_paths(Config config);

// Makes `parent`/`name`, or `name`-2, -3 ... where others were faster, and returns it.
std::filesystem::path make_unique_folder(const std::filesystem::path& parent, const std::string& name);

}  // namespace xbench
