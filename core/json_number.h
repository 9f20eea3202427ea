// A number in JSON, or null where it is none: JSON has neither infinities nor NaN.
#pragma once

#include <cmath>

#include "core/json.h"

namespace xbench {

inline Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace xbench
