// Which steps are logged, and their marks.
#include "parallel/comm/arrival_log.h"

#include <array>

#include "core/philox.h"

namespace xbench {

const char* name_of(CollectiveKind collective) {
    static constexpr std::array names{"all_reduce", "reduce_scatter", "all_gather", "broadcast", "shift", "meet"};
    return names[static_cast<size_t>(collective)];
}

// Alike on all ranks. At random, as every other step could fall together with what comes every other step.
bool ArrivalLog::is_logged(When when, uint32_t step) {
    return when == When::always || (philox4x32(0x41525256, step, 0).v[0] & 1u) != 0;
}

void ArrivalLog::begin_step(uint32_t step) {
    if (!is_logged(when_, step)) return;
    step_ = step;
    if (marks_.size() < most_marks) mark_.step = step, mark_.loaded_ns = mark_.computed_ns = now();
}

void ArrivalLog::end_step() {
    if (step_ != 0 && marks_.size() < most_marks) {
        mark_.end_ns = now();
        marks_.push_back(mark_);
    }
    step_ = 0;
}

}  // namespace xbench
