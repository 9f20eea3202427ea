// What a reader of a scaling table has to know beside its numbers.
#pragma once

#include <span>

#include "bench/sweep/scaling_table.h"

namespace xbench {

void add_notes(ScalingTable& table, const ScalingConfig& scaling, std::span<const Record> records);

}  // namespace xbench
