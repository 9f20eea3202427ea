// A loader's batch where the kernels of a plan read it. If the device reads host memory, that is in place. Otherwise the
// images, labels and sample ids of a step are copied into memory of the device, in order with its kernels.
#pragma once

#include "data/load/loader.h"
#include "plan/executor.h"

namespace xbench {

class DeviceBatch {
public:
    // For batches, or parts of them, that the plan takes. All must outlive it.
    DeviceBatch(const Plan& plan, Device& device, MemoryLedger* ledger = nullptr);

    // Points the executor and the context at images first .. first + count - 1 of the batch. They hold good until the next
    // call; the batch may change once wait() has returned.
    void bind(const Batch& batch, int64_t first, int64_t count, Executor& executor, StepContext& context);
    void bind(const Batch& batch, Executor& executor, StepContext& context) {
        bind(batch, 0, batch.size, executor, context);
    }
    void wait();  // until the batch has been read

private:
    // `bytes` from `from`, where the device sees them.
    void* seen(const AlignedBuffer& here, const void* from, size_t bytes);

    Device& device_;
    int64_t pixels_, classes_;             // of an image
    AlignedBuffer images_, labels_, ids_;  // empty where the device reads the host's
    DeviceEvent read_;
    bool reading_ = false;
};

// Fills the fields of a step's context that the whole batch determines; they point into it.
void describe_batch(const Batch& batch, StepContext& context);

}  // namespace xbench
