// Pointing at a batch, or copying it.
#include "parallel/train/device_batch.h"

namespace xbench {

DeviceBatch::DeviceBatch(const Plan& plan, Device& device, MemoryLedger* ledger)
    : device_(device),
      pixels_(plan.graph.value(plan.graph.input).shape.elements()),
      classes_(plan.graph.value(plan.graph.output("logits")).shape[1]) {
    if (device.is_host()) return;
    const auto images = static_cast<size_t>(plan.options.max_batch);
    const auto allocate = [&](size_t bytes) { return device.allocate(images * bytes, ledger, MemoryCategory::batches); };
    images_ = allocate(static_cast<size_t>(pixels_) * sizeof(float));
    labels_ = allocate(static_cast<size_t>(classes_) * sizeof(float));  // one label, or a target a class
    ids_ = allocate(sizeof(int64_t));
}

void* DeviceBatch::seen(const AlignedBuffer& here, const void* from, size_t bytes) {
    if (device_.is_host()) return const_cast<void*>(from);  // inputs: kernels only read them
    device_.copy(here.data(), from, bytes);
    return here.data();
}

void DeviceBatch::bind(const Batch& batch, int64_t first, int64_t count, Executor& executor, StepContext& context) {
    const auto images = static_cast<size_t>(count);
    executor.bind(Arena::input,
                  seen(images_, batch.images + first * pixels_, images * static_cast<size_t>(pixels_) * sizeof(float)));
    executor.bind(Arena::label, batch.multilabel ? seen(labels_, batch.targets.data() + first * classes_,
                                                        images * static_cast<size_t>(classes_) * sizeof(float))
                                                 : seen(labels_, batch.labels.data() + first, images * sizeof(int32_t)));
    context.sample_ids = static_cast<const int64_t*>(seen(ids_, batch.sample_ids.data() + first, images * sizeof(int64_t)));
    if (!device_.is_host()) read_ = device_.record();
    reading_ = !device_.is_host();
}

void DeviceBatch::wait() {
    if (reading_) device_.wait(read_);
    reading_ = false;
}

void describe_batch(const Batch& batch, StepContext& context) {
    context.leaf_begin = batch.leaf_begin.data();
    context.leaves = static_cast<int32_t>(batch.leaf_begin.size()) - 1;
    context.global_batch = batch.global_size;
    context.inverse_batch = 1.0 / (batch.weight_sum > 0 ? batch.weight_sum : static_cast<double>(batch.global_size));
}

}  // namespace xbench
