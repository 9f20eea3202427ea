// What the tests leave out of a kernel for GPUs to see whether anybody notices: XB_MUTATE is one of these numbers, in builds
// of the tests only (tests/kernels/gpu_mutation_test.cpp).
#pragma once

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

}  // namespace xbench
