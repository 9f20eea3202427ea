// Numbers of a model's memory that are not finite, by the name of their tensor. Looked for on the host.
#pragma once

#include <span>
#include <string>

#include "parallel/strategy/model_state.h"

namespace xbench {

// "f.3.weight[17] is nan", of the first such number in forward order, or "" when all are finite. The parts hold elements of
// a flat buffer in which the ranges lie: parameters, or their gradients.
std::string find_not_finite(const ModelState& state, std::span<const FlatRange> ranges,
                            std::span<const ModelState::Part> parts);

// The same of parameters and running statistics, of those that this rank keeps.
std::string find_not_finite(const ModelState& state);

}  // namespace xbench
