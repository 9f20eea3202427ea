// Aligned allocation. Large blocks start on 2 MiB and ask for huge pages, which many kernels give only to those who ask: a
// pass over 16 MiB takes 1.4 times as long with pages of 4 KiB (virtual machine on a Zen 3).
#include "core/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "core/error.h"

namespace xbench {

AlignedBuffer::AlignedBuffer(size_t bytes) : bytes_(bytes) {
    constexpr size_t huge_page = size_t{2} << 20;
    const size_t alignment = bytes >= 2 * huge_page ? huge_page : 64;
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    if (rounded == 0) return;
    data_.reset(std::aligned_alloc(alignment, rounded), [](void* data) { std::free(data); });
    if (!data_)
        throw Error("cannot allocate " + std::to_string(rounded >> 20) + " MiB", "memory",
                    "use a smaller batch or more ranks");
    if (alignment == huge_page) madvise(data_.get(), rounded, MADV_HUGEPAGE);  // a wish: without it all works as well
    std::memset(data_.get(), 0, rounded);
}

}  // namespace xbench
