// Checks of the model's numbers.
#include "parallel/train/health.h"

#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/gather.h"
#include "core/hash.h"

namespace xbench {

void check_finite(const ModelState& state, uint32_t step, int rank, Checked checked) {
    const auto check = [&](const std::string& found, const char* what) {
        if (!found.empty())
            throw Error(fmt::format("{}{} on rank {}", what, found, rank), fmt::format("training step {}", step),
                        "lower the learning rate, or look at the images of that step");
    };
    if (checked == Checked::all)
        check(find_not_finite(state, state.flat.parameters, state.gradient_parts()), "the gradient of ");
    check(find_not_finite(state), "");
}

void check_replicas(const ModelState& state, uint32_t step, ControlPlane& communicator) {
    if (communicator.size() == 1) return;
    Hash hash;
    const auto add = [&](const AlignedBuffer& buffer, int64_t count) {
        state.device.read(buffer.as<float>(), count,
                          [&](const float* data) { hash.add(data, static_cast<size_t>(count) * sizeof(float)); });
    };
    if (state.whole_parameters()) add(state.parameters, state.flat.parameter_elements);
    add(state.state, state.flat.state_elements);
    const std::vector<std::string> all = gather_texts(communicator, hash.hex());
    std::string others;
    for (size_t rank = 1; rank < all.size(); ++rank)
        if (all[rank] != all[0]) others += fmt::format("{}{}", others.empty() ? "" : ", ", rank);
    if (!others.empty())
        throw Error(fmt::format("rank {} no longer has rank 0's weights", others),
                    fmt::format("after training step {}", step),
                    "memory or network corrupted something; resume from the last checkpoint");
}

}  // namespace xbench
