// How elements are split over ranks.
#include "core/communicator.h"

#include <algorithm>

namespace xbench {

RankRange range_of_rank(size_t count, int rank, int ranks) {
    constexpr size_t line = 16;  // floats of a cache line
    const size_t lines = (count + line - 1) / line;
    const auto at = [&](int r) { return std::min(count, lines * static_cast<size_t>(r) / static_cast<size_t>(ranks) * line); };
    return {at(rank), at(rank + 1)};
}

}  // namespace xbench
