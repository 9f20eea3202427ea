// What the files that hold rows of the configuration table share: the slot of a member, ranges, and their parts of the
// table.
#pragma once

#include <vector>

#include "core/config_fields.h"

namespace xbench {

// One line a field is worth a macro: it names the member that the field is kept in.
#define XB_SLOT(member) [](Config& config, [[maybe_unused]] size_t row) -> ConfigSlot { return &config.member; }

inline constexpr NumberRange from(double low) { return {.low = low}; }
inline constexpr NumberRange above(double low) { return {.low = low, .low_open = true}; }
inline constexpr NumberRange between(double low, double high) { return {.low = low, .high = high}; }
inline constexpr NumberRange below_one() { return {.low = 0, .high = 1, .high_open = true}; }

// core/config_training_fields.cpp
std::vector<ConfigField> schedule_fields();
std::vector<ConfigField> stopping_fields();
std::vector<ConfigField> loss_fields();
std::vector<ConfigField> tune_fields();

}  // namespace xbench
