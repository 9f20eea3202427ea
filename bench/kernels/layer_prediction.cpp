// One image, two images, and the line through both.
#include "bench/kernels/layer_prediction.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>

#include "bench/kernels/kernel_case.h"
#include "bench/kernels/kernel_suite.h"
#include "core/error.h"
#include "kernels/cases/device_data.h"
#include "kernels/op.h"
#include "kernels/registry.h"

namespace xbench {
namespace {

constexpr size_t sums = offsetof(GpuCounts, registers) / sizeof(uint64_t);  // of GpuCounts, its first members

const std::map<std::string, std::string> words{{"fp32", ""}, {"tf32", " tf32"}, {"bf16", " bf16"}, {"fp16", " f16"}};

bool is_plain(const LayerProblem& problem) {
    const auto plain = [](const KernelTensor& tensor) { return tensor.rank == 0 || tensor.layout == Layout::plain; };
    return std::all_of(problem.in.begin(), problem.in.end(), plain) &&
           std::all_of(problem.out.begin(), problem.out.end(), plain);
}

// The passes of a layer with so many images in one leaf, in the layout in which a plan for a GPU has them.
std::vector<LayerProblem> passes_of(const LayerProblem& layer, int images, const std::string& products) {
    const std::string line = line_with_images(layer.line, images, 1) + words.at(products);
    std::vector<LayerProblem> passes;
    for (LayerProblem& problem : parse_problem(line, layer.name))
        if (is_plain(problem)) passes.push_back(products == "fp32" ? std::move(problem) : in_nhwc(std::move(problem)));
    return passes;
}

CountedRow counted(const LayerProblem& problem, Device& device, GpuCounter& counter) {
    const Kernel& kernel = select(problem.problem(), device.target());
    ProblemData here(problem, DataKind::random, 1);
    DeviceData there(here, kernel, device, false);
    device.wait();
    counter.take();
    there.launch();
    device.wait();
    std::vector<CountedRow> rows = counter.take();
    return rows.empty() ? CountedRow{kernel.name, name_of(problem.op), {}} : std::move(rows.front());
}

}  // namespace

CountedRow extrapolated(const CountedRow& one, const CountedRow& two, int64_t images) {
    if (one.row != two.row || one.kernels.size() != two.kernels.size())
        throw Error("one image is computed in another way than two: " + one.row + ", " + two.row, "--images");
    CountedRow all = two;
    for (size_t k = 0; k < all.kernels.size(); ++k) {
        uint64_t of_one[sums], of_two[sums];
        std::memcpy(of_one, &one.kernels[k].counts, sizeof of_one);
        std::memcpy(of_two, &two.kernels[k].counts, sizeof of_two);
        for (size_t i = 0; i < sums; ++i) {
            const auto first = static_cast<int64_t>(of_one[i]), more = static_cast<int64_t>(of_two[i]) - first;
            of_two[i] = static_cast<uint64_t>(std::max<int64_t>(0, first + more * (images - 1)));
        }
        std::memcpy(static_cast<void*>(&all.kernels[k].counts), of_two, sizeof of_two);
    }
    return all;
}

std::vector<PredictedRow> predict_layers(const LayerPredictionOptions& options, Device& device, const GpuChip& chip,
                                         const std::function<void(const PredictedRow&)>& progress) {
    if (!words.contains(options.products))
        throw UsageError("no products '" + options.products + "'", "--products", "fp32, tf32, bf16 or fp16");
    const std::vector<LayerProblem> layers = convolutions_to_time(options.filter);
    if (layers.empty())
        throw UsageError("no layer is left", "--filter",
                         "names look like resnet50.layer1.0.conv2; --images takes convolutions");
    GpuCounter counter(device);
    std::vector<PredictedRow> rows;
    for (const LayerProblem& layer : layers) {
        const auto one = passes_of(layer, 1, options.products), two = passes_of(layer, 2, options.products);
        for (size_t pass = 0; pass < one.size(); ++pass) {
            const CountedRow first = counted(one[pass], device, counter), both = counted(two.at(pass), device, counter);
            for (const int64_t images : options.images) {
                rows.push_back({fmt::format("{}/{} x {}", name_of(one[pass].op), layer.name, images), first.row,
                                predict(extrapolated(first, both, images), chip)});
                if (progress) progress(rows.back());
            }
        }
    }
    return rows;
}

}  // namespace xbench
