// POSIX calls, because the standard library can sync neither a file nor the folder that holds its name.
#include "parallel/checkpoint/durable_file.h"

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace xbench {

DurableFile::DurableFile(std::filesystem::path path) : path_(std::move(path)), temporary_(path_) {
    temporary_ += ".tmp." + std::to_string(::getpid());
    std::error_code ignored;
    if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), ignored);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
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

void DurableFile::commit() {
    if (::fsync(descriptor_) != 0) fail("cannot be synced to the disk");
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
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
    if (const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); directory >= 0) {
        ::fsync(directory);
        ::close(directory);
    }
}

void DurableFile::fail(const char* what) const {
    throw Error(std::string(what) + ": " + std::strerror(errno), path_.string(),
                "check that the folder exists, is writable and has room");
}

}  // namespace xbench
