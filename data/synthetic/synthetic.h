// Procedural chest X-rays: a set to train on without files. Image i is a function of (seed, i) alone, at any size.
// The classes are normal and pneumonia, about 1:3 as in the pediatric set of Kermany et al. 2018. Each opacity has its box.
#pragma once

#include <functional>

#include "core/config.h"
#include "data/set/image_set.h"

namespace xbench {

// Called with the images drawn so far, by one thread at a time; an exception of it ends the work.
using SyntheticObserver = std::function<void(int64_t done)>;

// Throws UsageError.
void check_synthetic(const SyntheticConfig& config);
// Drawn by `threads` threads (0: all cores), split 70/15/15 by the seed, stratified. Throws UsageError.
ImageSet make_synthetic(const SyntheticConfig& config, int threads = 0, const SyntheticObserver& observer = {});

}  // namespace xbench
