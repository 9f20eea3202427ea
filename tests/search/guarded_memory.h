// Memory between two pages that nobody may touch: a read or write past either end is a fault of the processor, and one into
// the rest of a page is seen by intact(). The data begin right behind the first page or end right before the second.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

namespace xbench::test {

class GuardedMemory {
public:
    static constexpr size_t page = 4096, alignment = 64;
    static constexpr unsigned char rest_byte = 0xA5;

    GuardedMemory(size_t bytes, bool at_end) : bytes_(bytes) {
        const size_t need = (bytes + alignment - 1) / alignment * alignment;
        room_ = std::max(page, (need + page - 1) / page * page);
        void* map = mmap(nullptr, room_ + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED) throw std::bad_alloc();
        map_ = static_cast<unsigned char*>(map);
        if (mprotect(room(), room_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
        std::memset(room(), rest_byte, room_);
        data_ = at_end ? room() + room_ - need : room();
    }
    GuardedMemory(GuardedMemory&& other) noexcept
        : map_(std::exchange(other.map_, nullptr)), data_(other.data_), bytes_(other.bytes_), room_(other.room_) {}
    GuardedMemory& operator=(GuardedMemory&&) = delete;
    ~GuardedMemory() {
        if (map_) munmap(map_, room_ + 2 * page);
    }

    unsigned char* data() const { return data_; }
    size_t bytes() const { return bytes_; }
    bool intact() const {
        const auto untouched = [](unsigned char byte) { return byte == rest_byte; };
        return std::all_of(room(), data_, untouched) && std::all_of(data_ + bytes_, room() + room_, untouched);
    }

private:
    unsigned char* room() const { return map_ + page; }
    unsigned char *map_ = nullptr, *data_ = nullptr;
    size_t bytes_, room_ = 0;
};

}  // namespace xbench::test
