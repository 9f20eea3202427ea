// What is no number has a sign that means nothing, and x86 makes it with one: messages and tables would say "-nan" here and
// "nan" there.
#pragma once

#include <cmath>
#include <limits>

namespace xbench {

template <class T>
T plain_nan(T number) {
    return std::isnan(number) ? std::numeric_limits<T>::quiet_NaN() : number;
}

}  // namespace xbench
