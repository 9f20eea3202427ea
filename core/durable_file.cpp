// POSIX calls, because the standard library can sync neither a file nor the folder that holds its name.
#include "core/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/error.h"
#include "core/files.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

constexpr size_t longest_name = 200;  // of the part that the temporary name keeps: most file systems end at 255 bytes

const char* kind_of(mode_t mode) {
    if (S_ISDIR(mode)) return "a folder";
    if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
    if (S_ISFIFO(mode)) return "a pipe";
    if (S_ISSOCK(mode)) return "a socket";
    return "not a regular file";
}

[[noreturn]] void refuse_link(const fs::path& path) {
    std::error_code ignored;
    const fs::path target = fs::read_symlink(path, ignored);
    throw UsageError("is a link to " + target.string() + ", and only regular files are replaced", path.string(),
                     "name the file itself, or remove the link");
}

// The mode that the new file takes from the one that it replaces.
mode_t mode_for(const fs::path& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
}

}  // namespace

void check_replaceable(const fs::path& path) {
    if (path.empty()) throw UsageError("no name for the file to write", "output", "name a file");
    if (!path.has_filename()) throw UsageError("names a folder", path.string(), "add the name of the file to write");
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENAMETOOLONG) throw UsageError("its name is too long", path.string(), "name another file");
        return;  // free, or the next step says why not
    }
    if (S_ISLNK(status.st_mode)) refuse_link(path);
    if (S_ISREG(status.st_mode)) return;
    const bool folder = S_ISDIR(status.st_mode);
    throw UsageError(std::string("is ") + kind_of(status.st_mode) + ", and only regular files are replaced", path.string(),
                     folder ? "add the name of the file to write" : "name another file");
}

DurableFile::DurableFile(fs::path path, Folders folders) : path_(std::move(path)) {
    check_replaceable(path_);
    const fs::path folder = path_.parent_path();
    std::error_code ignored;
    if (!folder.empty() && folders == Folders::make) fs::create_directories(folder, ignored);
    const std::string name = path_.filename().string().substr(0, longest_name);
    temporary_ = folder / (name + ".tmp." + std::to_string(::getpid()));
    open();
}

void DurableFile::open() {
    constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    descriptor_ = ::open(temporary_.c_str(), flags, 0666);
    if (descriptor_ < 0 && errno == EEXIST) {  // of a process that was killed
        ::unlink(temporary_.c_str());
        descriptor_ = ::open(temporary_.c_str(), flags, 0666);
    }
    if (descriptor_ < 0) fail("cannot be created");
}

DurableFile::~DurableFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
}

void DurableFile::write(const void* data, size_t bytes) {
    for (const char* at = static_cast<const char*>(data); bytes > 0;) {
        const ssize_t written = ::write(descriptor_, at, std::min(bytes, size_t{1} << 30));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) fail("cannot be written");
        at += written;
        bytes -= static_cast<size_t>(written);
    }
}

void DurableFile::sync() {
    // Some file systems do not offer it; then a write that failed has said so already.
    if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) fail("cannot be synced to the disk");
}

void DurableFile::commit() {
    sync();
    check_replaceable(path_);  // hours may have passed
    if (const mode_t mode = mode_for(path_); mode != 0) ::fchmod(descriptor_, mode);
    const int closing = descriptor_;
    descriptor_ = -1;
    if (::close(closing) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
        const int why = errno;
        ::unlink(temporary_.c_str());
        errno = why;
        fail("cannot be put in its place");
    }
    // The new name lies in the folder, which is synced too; some file systems do not offer that, and the file is whole
    // anyway.
    const fs::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
    if (const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); directory >= 0) {
        ::fsync(directory);
        ::close(directory);
    }
}

void DurableFile::fail(const char* what) const {
    const std::error_code error(errno, std::generic_category());
    throw Error(std::string(what) + ": " + reason_for_no_new(path_, error), path_.string(),
                "check that the folder exists, is writable and has room");
}

void try_output(const fs::path& path) { const DurableFile tried(path, DurableFile::Folders::must_exist); }

void write_durably(const fs::path& path, std::string_view text) {
    DurableFile file(path, DurableFile::Folders::must_exist);
    file.write(text);
    file.commit();
}

}  // namespace xbench
