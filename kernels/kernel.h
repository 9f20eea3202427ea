// One implementation of one operator: what it is given, what it must promise, and its row in the registry.
// Plain data without inline members: files built for one instruction set (*.isa.cpp) include this.
//
// The contract of a kernel
//   - It is called by every thread of a team at the same time, with the same arguments (SPMD): each thread does its share,
//     chosen from (team.rank, team.size), and may meet the others at team.barrier(). The executor puts a barrier after it.
//   - Its result has the same bits for any team size and any split of the batch over ranks. Sums over images go leaf by
//     leaf: leaf v holds the local images leaf_begin[v] .. leaf_begin[v+1]-1 (empty leaves are legal); inside a leaf in
//     ascending order; the leaves' partial sums are then added in the fixed tree of kernels/leaf_tree.h.
//   - It is noexcept, allocates nothing, prints nothing, and writes only its outputs and its workspace.
//   - dim[0] of an activation is the number of images now, at most what it was when the plan was made.
//   - Channel padding of an nchw16c tensor is zero on entry and must be zero on exit.
// A row for CUDA has `enqueue` in place of `run`: the same contract for any grid in place of any team, but bits of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/isa.h"
#include "core/ops.h"
#include "core/types.h"

namespace xbench {

struct KernelTensor {
    void* data;  // null in a Problem, and for an absent operand
    DType dtype;
    Layout layout;
    int32_t rank;  // 0: the operand is absent
    int64_t dim[5];
};

// Operands in the order that core/ops.h lists them; trailing optional ones may be missing.
struct Problem {
    OpKind op;
    const void* attrs;  // the operator's struct of core/ops.h
    int32_t n_in, n_out;
    KernelTensor in[8];
    KernelTensor out[3];
    int32_t leaves;  // the largest number of leaves that a call can have
};

// What changes from step to step, shared by all kernels of a step.
struct StepContext {
    const int32_t* leaf_begin;  // {leaves + 1}; leaf_begin[leaves] = images on this rank now
    int32_t leaves;
    int32_t later_rank;         // 0 on the rank that owns the first leaf of the batch, else 1
    const int64_t* sample_ids;  // {images}: index of each image in its data set
    uint64_t seed;
    uint32_t step;         // counts from 0 over the whole training
    double inverse_batch;  // of the loss: 1 / images of the global batch, or 1 / the sum of their weights
    int64_t global_batch;  // images of the global batch
    float learning_rate;
    uint32_t update;  // t of Adam: 1 for the first update
    // What the gradient of the loss is multiplied by, in the memory that kernels read; null: 1. A kernel changes it from
    // step to step (core/ops.h, LossScaling).
    const float* loss_scale;
    // The copy of this step in the memory of a device that cannot read the host's, with addresses of that memory; null on
    // the host. What launches look at is here; what kernels compute with they read there, so that they may be replayed.
    const StepContext* on_device;
};

struct KernelArgs : Problem {
    void* workspace;  // 64-byte aligned, of the size that workspace() asked for; contents undefined
    const StepContext* step;
};

class TeamMeeting;  // kernels/team.h
class CudaQueue;    // kernels/cuda/queue.h
void meet(TeamMeeting& meeting, int size);

struct Team {
    int32_t rank, size;
    TeamMeeting* meeting;  // null: one thread
    // All threads of the team; also a memory fence. Inlined always: no file's instruction set gets into another's.
    [[gnu::always_inline]] void barrier() const {
        if (meeting) meet(*meeting, size);
    }
};

// Whether a row computes a problem and, if it does not, which of its attributes or operands is the reason: "groups".
struct Support {
    const char* why_not;  // null: it does
    [[gnu::always_inline]] explicit operator bool() const { return why_not == nullptr; }
};

constexpr Support supported{nullptr};
static inline Support refused(const char* why_not) { return Support{why_not}; }
static inline Support both(Support first, Support second) { return first ? second : first; }

// Whether the attributes hold only what core/ops.h says and the operator knows: no row may take an activation that it has
// never heard of for none. Every row with such attributes asks it.
Support known_attributes(const Problem& problem);  // kernels/op.cpp

struct Kernel {
    OpKind op;
    const char* name;  // the algorithm: "reference", "direct", "winograd23"
    Isa isa;
    Support (*supports)(const Problem&);
    size_t (*workspace)(const Problem&, int threads);      // bytes; null: none
    void (*run)(const KernelArgs&, const Team&) noexcept;  // null in a row for CUDA
    // How much larger its rounding errors may be than those of a plain sum of the products; multiplies the tolerance of its
    // tests. A row with 1 gives exact results where all products and sums are exact; the errors of a row with more also
    // spread over an image or filter (its last two axes), by whose largest element they are then measured.
    double error_growth = 1;
    bool (*wins)(const Problem&) = nullptr;  // whether to choose it without being asked; null: wherever it is supported
    // The least that a row for CUDA needs, 80 for sm_80; 0: a row for a CPU.
    int32_t compute_capability = 0;
    // Launches what computes it, in the order of the queue. Operands lie in the device's memory, args.step is the host's.
    void (*enqueue)(const KernelArgs&, CudaQueue&) noexcept = nullptr;
    // Of a row that calls a library which is opened at run time, whose sums know no leaves: why it is not there, in a line
    // with the remedy, or null. Null itself: the row is our own.
    const char* (*why_missing)() = nullptr;
};

// A file's rows: what each <name>.isa.cpp (and ref.cpp) hands to the registry.
struct KernelRows {
    const Kernel* rows;
    int count;
};

}  // namespace xbench
