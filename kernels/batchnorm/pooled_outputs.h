// What a batch normalisation in front of a max-pooling writes, as host and device see it. Plain data.
#pragma once

#include <cstdint>

namespace xbench {

struct PooledOutputs {
    float* y;
    uint8_t* index;  // null, like xhat, in inference
    float* xhat;
};

}  // namespace xbench
