// The losses of an epoch's batches, one sum per block of leaves, until they are added over blocks and ranks. They are added
// in the tree first and over the batches last, so that any number of ranks ends with the same bits.
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/comm/rank_sums.h"

namespace xbench {

class EpochLosses {
public:
    EpochLosses(const RankSums& sums, int64_t batches);  // the sums outlive it

    void clear();
    double& of(int64_t batch, int block);
    double here(int64_t batch) const;    // of this rank's images
    std::vector<double> of_all() const;  // {batch}: of all ranks' images; collective
    double total() const;                // of all batches and ranks; collective
    // From of_all() of an earlier process: rank 0 carries what is known of the first batches, and the others zeros.
    void resume(const std::vector<double>& of_all);

private:
    const RankSums& sums_;
    const size_t batches_;
    std::vector<double> losses_;  // {block}{batch}
};

// The mean over chunks of so many images of the mean loss of a chunk's images, from the sums of its batches.
double mean_of_chunks(const std::vector<double>& of_batches, const std::vector<int64_t>& bounds, int64_t chunk_images);

}  // namespace xbench
