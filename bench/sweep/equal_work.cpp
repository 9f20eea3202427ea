// The conditions, in the order in which a reader would look for them.
#include "bench/sweep/equal_work.h"

#include <fmt/format.h>

namespace xbench {

std::string other_work(const ScalingRow& row, const ScalingRow& base, const std::string& mode,
                       const std::string& reduction) {
    const RunWork &own = row.work, &other = base.work;
    if (!own.same_in_all) return "did other work from repeat to repeat";
    if (!other.same_in_all) return "has a baseline that did other work from repeat to repeat";
    if (row.images_trained != base.images_trained)
        return fmt::format("trained on {} images and the baseline on {}", row.images_trained, base.images_trained);
    if (own.data_sha != other.data_sha) return "trained on another data set than the baseline";
    if (own.test_images != other.test_images)
        return fmt::format("scored {} test images and the baseline {}", own.test_images, other.test_images);
    if (mode == "weak") return "";
    if (row.point.global_batch != base.point.global_batch)
        return fmt::format("has a global batch of {} and the baseline of {}", row.point.global_batch,
                           base.point.global_batch);
    if (own.steps != other.steps) return fmt::format("took {} steps and the baseline {}", own.steps, other.steps);
    if (reduction != "invariant") return "";
    if (row.weights_hash == "differs") return "ended in different weights from repeat to repeat";
    if (row.weights_hash != base.weights_hash) return "ended in other weights than the baseline";
    return "";
}

}  // namespace xbench
