// `xbench kernels --predict GPU --images N`: the three passes of the convolutions of a published list at a batch that no
// emulated GPU gets through. Each call is counted with one image and with two; what a further image adds is taken to be the
// same for all, so that filters and what else is there once are not multiplied.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bench/base/gpu_prediction.h"
#include "kernels/device.h"

namespace xbench {

struct LayerPredictionOptions {
    std::string filter;  // regular expression over the names of layers of kernels/conv2d/problems.cfg that are timed only
    std::vector<int64_t> images;  // a row each
    std::string products;         // fp32, tf32, bf16 or fp16
};

// Counts of `images` images from those of one and of two.
CountedRow extrapolated(const CountedRow& one, const CountedRow& two, int64_t images);

// Rows "conv2d_wgrad/resnet50.conv1 x 64". Throws UsageError where the device is not an emulated GPU, or no layer is left.
std::vector<PredictedRow> predict_layers(const LayerPredictionOptions& options, Device& device, const GpuChip& chip,
                                         const std::function<void(const PredictedRow&)>& progress = {});

}  // namespace xbench
