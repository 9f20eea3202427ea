// The texts of a time limit.
#include "core/wait_limit.h"

#include <fmt/format.h>

namespace xbench {

std::string size_text(uint64_t bytes) {
    if (bytes >= uint64_t{10} << 20) return fmt::format("{} MiB", bytes >> 20);
    return bytes >= 10 << 10 ? fmt::format("{} KiB", bytes >> 10) : fmt::format("{} bytes", bytes);
}

std::string waited_text(const WaitLimit& limit, int rank, int peer, const char* operation, uint64_t bytes) {
    const uint32_t step = limit.step;
    return fmt::format("rank {} waited {:.3g} s {}in {} of {}{}", rank, limit.seconds.load(),
                       peer >= 0 ? fmt::format("for rank {} ", peer) : "", operation, size_text(bytes),
                       step > 0 ? fmt::format(" at step {}", step) : " before the first step");
}

std::string lost_text(const WaitLimit& limit, int rank, const char* operation, uint64_t bytes) {
    const uint32_t step = limit.step;
    return fmt::format("rank {} has ended; rank {} waited for it in {} of {}{}", limit.lost.load(), rank, operation,
                       size_text(bytes), step > 0 ? fmt::format(" at step {}", step) : " before the first step");
}

}  // namespace xbench
