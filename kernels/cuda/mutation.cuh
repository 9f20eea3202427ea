// What the tests leave out of a kernel to see whether anybody notices: XB_MUTATE is one of these numbers, in builds of the
// tests only. The product is built without it, and the conditions below vanish.
#pragma once

#ifndef XB_MUTATE
#define XB_MUTATE 0
#endif

namespace xbench {

enum class Mutation {
    none,
    no_barrier,      // between the stages of the main loop
    no_wait,         // for the copies of the stage that is read
    no_source_mask,  // of pixels outside of the image
    no_k_mask,       // of what is past the end of the sum
    no_column_mask,  // of columns past the last one, where they are read
    no_store_mask    // of rows and columns past the last ones, where they are written
};

__device__ constexpr bool leaves_out(Mutation mutation) { return static_cast<int>(mutation) == XB_MUTATE; }

}  // namespace xbench
