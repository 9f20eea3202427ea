// Owning a folder. The lock is a flock on a file inside, which the kernel releases however the process ends.
#include "bench/base/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/error.h"
#include "core/files.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

constexpr const char* lock_name = ".lock";
// All that a training run or a sweep writes.
constexpr std::array run_files{"config.resolved.json",
                               "records.jsonl",
                               "env.json",
                               "history.csv",
                               "metrics.json",
                               "model_summary.txt",
                               "memory.json",
                               "training_time.txt",
                               "classification_report.txt",
                               "confusion_matrix.csv",
                               "scaling.csv",
                               "scaling.md",
                               "efficiency.csv",
                               "memory.csv",
                               "delays.csv",
                               "kernels.csv",
                               "report.html",
                               "command.txt",
                               "trials.csv",
                               "tune.json",
                               "tune.md",
                               "best.json",
                               "curves.svg",
                               "trace.json",
                               "arrivals.csv"};
constexpr std::array run_folders{"checkpoints", "points", "probes", "tensorboard", "trials", "repeats"};

[[noreturn]] void fail(const std::error_code& error, const fs::path& path) {
    throw UsageError(reason_for_no_new(path, error), path.string(), "name a folder that can be written with --out");
}

void remove_run(const fs::path& folder) {
    std::error_code error;
    for (const char* name : run_folders)
        if (fs::remove_all(folder / name, error); error) fail(error, folder / name);
    for (const char* name : run_files)
        if (fs::remove(folder / name, error); error) fail(error, folder / name);
}

std::string owner_of(const fs::path& lock) {
    std::ifstream file(lock);
    std::string owner;
    std::getline(file, owner);
    return owner.empty() ? "another process" : owner;
}

// Whether the name still belongs to the open file: the owner before may have removed it in between.
bool is_same_file(int descriptor, const fs::path& path) {
    struct stat opened {
    }, named{};
    return fstat(descriptor, &opened) == 0 && stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino;
}

}  // namespace

bool holds_run(const fs::path& folder) {
    for (const char* name : run_files)
        if (path_exists(folder / name)) return true;
    for (const char* name : run_folders)
        if (is_folder(folder / name) && !list_folder(folder / name).empty()) return true;
    return false;
}

RunFolder::RunFolder(fs::path path, FolderUse use) : path_(std::move(path)) {
    std::error_code error;
    if (fs::exists(path_, error) && !fs::is_directory(path_, error))
        throw UsageError("is no folder", path_.string(), "name another with --out");
    made_ = fs::create_directories(path_, error);
    if (error) fail(error, path_);
    lock();
    try {
        if (use == FolderUse::fresh && holds_run(path_))
            throw UsageError("holds a run already", path_.string(),
                             "name another folder with --out, go on with --resume, or replace it with --overwrite");
        if (use == FolderUse::overwrite) remove_run(path_);
    } catch (...) {
        fs::remove(path_ / lock_name, error);
        close(lock_);
        throw;
    }
}

void RunFolder::lock() {
    const fs::path name = path_ / lock_name;
    do {
        if (lock_ >= 0) close(lock_);
        lock_ = open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (lock_ < 0) fail({errno, std::generic_category()}, path_);
        if (flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {  // other errors: a file system without locks
            close(lock_);
            throw UsageError(owner_of(name) + " is at work in it", path_.string(),
                             "wait until it ends, or name another folder with --out");
        }
    } while (!is_same_file(lock_, name));
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    const std::string owner = fmt::format("process {} on {}\n", getpid(), host.data());
    if (ftruncate(lock_, 0) == 0 && write(lock_, owner.data(), owner.size()) < 0) return;  // only for the message
}

RunFolder::~RunFolder() {
    std::error_code ignored;
    fs::remove(path_ / lock_name, ignored);  // while it is locked
    close(lock_);
    if (!made_) return;
    fs::remove(path_ / "checkpoints", ignored);  // where it is empty
    fs::remove(path_, ignored);
}

Config with_absolute_paths(Config config) {
    if (!config.data.path.empty()) config.data.path = absolute_path(config.data.path).string();
    if (!config.train.weights.empty()) config.train.weights = absolute_path(config.train.weights).string();
    config.output = absolute_path(config.output).string();
    return config;
}

fs::path make_unique_folder(const fs::path& parent, const std::string& name) {
    std::error_code error;
    fs::create_directories(parent, error);
    if (error) fail(error, parent);
    for (int number = 1;; ++number) {
        const fs::path path = parent / (number == 1 ? name : fmt::format("{}-{}", name, number));
        if (fs::create_directory(path, error)) return path;
        if (error) fail(error, path);
    }
}

}  // namespace xbench
