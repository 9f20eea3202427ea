// The order of images in chunks and partitions, and where batches end.
#include <algorithm>

#include "data/load/loader.h"

namespace xbench {

std::vector<int64_t> batch_bounds(int64_t images, int64_t chunk_images, int64_t batch_size) {
    const int64_t chunk = chunk_images > 0 ? chunk_images : std::max<int64_t>(images, 1);
    std::vector<int64_t> bounds{0};
    while (bounds.back() < images) {
        const int64_t begin = bounds.back(), end_of_chunk = std::min(images, (begin / chunk + 1) * chunk);
        bounds.push_back(std::min(begin + batch_size, end_of_chunk));
    }
    return bounds;
}

// Batch b of n images takes, of a partition of m, those before m (b+1) batch / n that no batch before it has taken.
std::vector<int64_t> chunked_order(const std::vector<int64_t>& order, int64_t chunk_images, int64_t partitions,
                                   int64_t batch_size) {
    if (partitions <= 1) return order;
    const auto images = static_cast<int64_t>(order.size());
    const int64_t chunk = chunk_images > 0 ? chunk_images : std::max<int64_t>(images, 1);
    std::vector<int64_t> result;
    result.reserve(order.size());
    for (int64_t first = 0; first < images; first += chunk) {
        const int64_t size = std::min(chunk, images - first);
        const auto begin_of = [&](int64_t p) { return p * size / partitions; };
        std::vector<int64_t> taken(static_cast<size_t>(partitions), 0);
        for (int64_t done = 0; done < size;) {
            const int64_t until = std::min(done + batch_size, size);
            // Cumulative shares round down; what is missing comes from the partitions with the most left.
            for (int64_t p = 0; p < partitions; ++p) {
                int64_t& here = taken[static_cast<size_t>(p)];
                const int64_t length = begin_of(p + 1) - begin_of(p), share = length * until / size;
                for (; here < share && done < until; ++here, ++done)
                    result.push_back(order[static_cast<size_t>(first + begin_of(p) + here)]);
            }
            while (done < until) {
                int64_t most = 0;
                const auto left = [&](int64_t p) { return begin_of(p + 1) - begin_of(p) - taken[static_cast<size_t>(p)]; };
                for (int64_t p = 1; p < partitions; ++p)
                    if (left(p) > left(most)) most = p;
                result.push_back(order[static_cast<size_t>(first + begin_of(most) + taken[static_cast<size_t>(most)]++)]);
                ++done;
            }
        }
    }
    return result;
}

double sum_of_weights(const std::vector<double>& class_weights, const Dataset& dataset, std::span<const int64_t> images) {
    double sum = 0;
    for (const int64_t image : images) {
        const auto label = static_cast<size_t>(dataset.labels()[static_cast<size_t>(image)]);
        sum += static_cast<double>(static_cast<float>(class_weights[label]));
    }
    return sum;
}

}  // namespace xbench
