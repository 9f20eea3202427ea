// Aligned allocation. Large blocks start on 2 MiB, so that the kernel can back them with huge pages.
#include "core/memory.h"

#include <cstdlib>
#include <cstring>

#include "core/error.h"

namespace xbench {

AlignedBuffer::AlignedBuffer(size_t bytes) : bytes_(bytes) {
    const size_t alignment = bytes >= (size_t{4} << 20) ? size_t{2} << 20 : 64;
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    if (rounded == 0) return;
    data_.reset(std::aligned_alloc(alignment, rounded), [](void* data) { std::free(data); });
    if (!data_)
        throw Error("cannot allocate " + std::to_string(rounded >> 20) + " MiB", "memory",
                    "use a smaller batch or more ranks");
    std::memset(data_.get(), 0, rounded);
}

}  // namespace xbench
