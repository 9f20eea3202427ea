// What the import and a worker process say to each other. Over a socket go a Request with the open files of up to
// most_files images, and back an Answer with the packed outcomes; pixels go through memory that both map.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace xbench::worker {

inline constexpr size_t most_files = 32;
inline constexpr int socket_number = 3, memory_number = 4;  // the worker's open files
inline constexpr size_t head_bytes = 4096;                  // of the memory; the pixels of image i follow, then i + 1

struct Setup {
    int64_t channels = 1, size = 64;
};
struct Request {
    uint32_t count = 0;
    int32_t bytes_per_pixel = 1;
    std::array<int64_t, most_files> frames{};
};
struct Answer {
    uint64_t bytes = 0;  // of packed outcomes that follow
};
// At the start of the memory: which file the worker is at.
struct Head {
    std::atomic<uint32_t> current;
};

}  // namespace xbench::worker
