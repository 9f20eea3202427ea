// POSIX shared memory.
#include "parallel/comm/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace xbench {
namespace {

[[noreturn]] void fail(const std::string& name, const char* doing, int error, const std::string& remedy = {}) {
    throw Error(fmt::format("{}: {}", doing, std::strerror(error)), "shared memory " + name, remedy);
}

struct Descriptor {
    int number;
    ~Descriptor() { close(number); }
};

void* map(const std::string& name, int descriptor, size_t bytes) {
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (data == MAP_FAILED) fail(name, "mapping it", errno);
    madvise(data, bytes, MADV_HUGEPAGE);  // where the system gives them to shared memory
    return data;
}

}  // namespace

SharedMemory SharedMemory::create(const std::string& name, size_t bytes) {
    const Descriptor descriptor{shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600)};
    if (descriptor.number < 0) fail(name, "making it", errno);
    // posix_fallocate, not ftruncate: /dev/shm may be small in a container.
    if (const int error = posix_fallocate(descriptor.number, 0, static_cast<off_t>(bytes))) {
        remove(name);
        fail(name, fmt::format("reserving {} MiB", (bytes >> 20) + 1).c_str(), error,
             "give /dev/shm more space (docker: --shm-size), use fewer ranks a node, or let the ranks talk by MPI alone "
             "(XBENCH_SHARED_MEMORY=off)");
    }
    return {map(name, descriptor.number, bytes), bytes};
}

SharedMemory SharedMemory::open(const std::string& name, size_t bytes) {
    const Descriptor descriptor{shm_open(name.c_str(), O_RDWR, 0)};
    if (descriptor.number < 0) fail(name, "opening it", errno);
    struct stat status {};
    if (fstat(descriptor.number, &status) != 0) fail(name, "asking for its size", errno);
    if (static_cast<size_t>(status.st_size) < bytes)
        throw Error(fmt::format("has {} bytes, not {}", status.st_size, bytes), "shared memory " + name);
    return {map(name, descriptor.number, bytes), bytes};
}

void SharedMemory::remove(const std::string& name) noexcept { shm_unlink(name.c_str()); }

SharedMemory::~SharedMemory() {
    if (data_ != nullptr) munmap(data_, bytes_);
}

void SharedMemory::swap(SharedMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
}

}  // namespace xbench
