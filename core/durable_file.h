// A file that appears whole or not at all: it is written under a temporary name in the same folder, synced, then renamed.
// Without commit() (after an exception) the temporary file is removed, and an older file stays as it was.
//
// Only a regular file is replaced, or a free name used. A device, a pipe, a folder or a link is refused when the object is
// made, before any work: as root, renaming over /dev/null would take it away from the whole machine, and a link says that
// the file belongs elsewhere. Every output of the program that replaces something goes through here.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace xbench {

class DurableFile {
public:
    enum class Folders { make, must_exist };
    // Throws UsageError for what must not be replaced, Error when nothing can be written there.
    explicit DurableFile(std::filesystem::path path, Folders folders = Folders::make);
    ~DurableFile();
    DurableFile(const DurableFile&) = delete;
    DurableFile& operator=(const DurableFile&) = delete;

    void write(const void* data, size_t bytes);
    void write(std::string_view text) { write(text.data(), text.size()); }
    // For libraries that write by name: what they write there is synced and renamed by commit().
    const std::filesystem::path& temporary() const { return temporary_; }
    void sync();    // what a full disk refuses, it refuses here at the latest
    void commit();  // sync, then rename

private:
    void open();
    [[noreturn]] void fail(const char* what) const;
    std::filesystem::path path_, temporary_;
    int descriptor_ = -1;
};

// Throws UsageError when `path` names something that must not be replaced, or is no name: "-" and "" included.
void check_replaceable(const std::filesystem::path& path);
// Tries an output before the work: makes the temporary file and removes it again. Throws as DurableFile does.
void try_output(const std::filesystem::path& path);
// The whole of a file, in a folder that exists.
void write_durably(const std::filesystem::path& path, std::string_view text);

}  // namespace xbench
