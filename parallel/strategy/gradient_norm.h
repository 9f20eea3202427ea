// The global norm of the gradients, each counted once, with the same bits for any division of the flat buffer among ranks.
//
// The squares of a cache line, 16 elements, are added in one fixed order (square_sums, core/ops.h); the lines' sums in the
// binary tree of kernels/leaf_tree.h over all lines of the flat buffer. Parts of ranks are whole lines. Of its parts a rank
// adds the aligned blocks of 2^j lines, which are subtrees; these few sums go to all ranks, which add them in the same
// order.
#pragma once

#include <vector>

#include "core/communicator.h"
#include "kernels/device.h"

namespace xbench {

// Neighbouring elements of a rank's gradients, and where they lie in the flat buffer of all.
struct GradientPart {
    const float* data;
    size_t begin, count;  // elements; whole lines
};

// Sums of aligned blocks of lines: of one part, from its lines' sums.
struct BlockSum {
    int64_t first, lines;
    double sum;
};
std::vector<BlockSum> sum_blocks(const double* of_lines, int64_t first, int64_t lines);
// Of all blocks, in any order, which tile the buffer.
double sum_of_blocks(std::vector<BlockSum> blocks);

class GradientNorm {
public:
    // `others`: the ranks that have the rest of the buffer; null: the parts are all of it. All must outlive it.
    GradientNorm(std::vector<GradientPart> parts, Device& device, ControlPlane* others, MemoryLedger* ledger);
    double operator()();  // collective over the ranks; waits for the device

private:
    const std::vector<GradientPart> parts_;
    Device& device_;
    ControlPlane* const others_;
    AlignedBuffer sums_;            // {lines of all parts}, f64
    std::vector<KernelArgs> args_;  // one a part that is not empty
    const Kernel* kernel_ = nullptr;
    Optimizer attributes_{};
};

}  // namespace xbench
