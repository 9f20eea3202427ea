// A file that appears whole or not at all: written under a temporary name in the same folder, synced, then renamed.
// Without commit() (an exception on the way) the temporary file is removed and an older file stays as it was.
#pragma once

#include <cstddef>
#include <filesystem>

namespace xbench {

class DurableFile {
public:
    explicit DurableFile(std::filesystem::path path);  // makes missing folders
    ~DurableFile();
    DurableFile(const DurableFile&) = delete;
    DurableFile& operator=(const DurableFile&) = delete;

    void write(const void* data, size_t bytes);
    void commit();

private:
    [[noreturn]] void fail(const char* what) const;
    std::filesystem::path path_, temporary_;
    int descriptor_ = -1;
};

}  // namespace xbench
