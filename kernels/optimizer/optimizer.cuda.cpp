// "flat": the optimizers over flat f32 buffers on a GPU, one launch an update, and the state of loss scaling beside them.
#include "kernels/cuda/row.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(adam_update, optimizer, adam_update);
XB_CUDA_FUNCTION(sgd_update, optimizer, sgd_update);
XB_CUDA_FUNCTION(square_sums_of_lines, optimizer, square_sums_of_lines);
XB_CUDA_FUNCTION(average_of_weights, optimizer, average_of_weights);
XB_CUDA_FUNCTION(find_overflow, optimizer, find_overflow);
XB_CUDA_FUNCTION(update_loss_scale, optimizer, update_loss_scale);

constexpr unsigned threads = 256, per_block = 4 * threads;

void enqueue_adam(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto* g = address<const float>(args.in[0]);
    auto *p = address<float>(args.out[0]), *m = address<float>(args.out[1]), *v = address<float>(args.out[2]);
    const int64_t count = elements(args.out[0]);
    queue.launch(adam_update, {blocks_for(count, per_block)}, {threads}, 0, g, p, m, v, count, attributes<Optimizer>(args),
                 queue.step(), address<const float>(args.in, args.n_in, 1), int{are_vectors(g, p, m, v)});
}

void enqueue_sgd(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto* g = address<const float>(args.in[0]);
    auto *p = address<float>(args.out[0]), *m = address<float>(args.out[1]);
    const int64_t count = elements(args.out[0]);
    queue.launch(sgd_update, {blocks_for(count, per_block)}, {threads}, 0, g, p, m, count, attributes<Optimizer>(args),
                 queue.step(), address<const float>(args.in, args.n_in, 1), int{are_vectors(g, p, m)});
}

void enqueue_find_overflow(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto* g = address<const float>(args.in[0]);
    const int64_t count = elements(args.in[0]);
    queue.launch(find_overflow, {blocks_for(count, per_block)}, {threads}, 0, g, count, address<float>(args.out[0]),
                 int{are_vectors(g)});
}

void enqueue_update_loss_scale(const KernelArgs& args, CudaQueue& queue) noexcept {
    queue.launch(update_loss_scale, {1}, {1}, 0, address<float>(args.out[0]), attributes<LossScaling>(args));
}

void enqueue_square_sums(const KernelArgs& args, CudaQueue& queue) noexcept {
    queue.launch(square_sums_of_lines, {blocks_for(elements(args.out[0]), threads)}, {threads}, 0,
                 address<const float>(args.in[0]), address<double>(args.out[0]), elements(args.in[0]));
}

void enqueue_average(const KernelArgs& args, CudaQueue& queue) noexcept {
    const auto* p = address<const float>(args.in[0]);
    auto* average = address<float>(args.out[0]);
    const int64_t count = elements(args.out[0]);
    queue.launch(average_of_weights, {blocks_for(count, per_block)}, {threads}, 0, p, average, count,
                 attributes<Optimizer>(args).average_decay, address<const float>(args.in, args.n_in, 1),
                 int{are_vectors(p, average)});
}

const Kernel rows[] = {
    cuda_row(OpKind::adam, "flat", plain_f32_input, enqueue_adam),
    cuda_row(OpKind::sgd, "flat", plain_f32_input, enqueue_sgd),
    cuda_row(OpKind::square_sums, "flat", plain_f32_input, enqueue_square_sums),
    cuda_row(OpKind::average_weights, "flat", plain_f32_input, enqueue_average),
    cuda_row(OpKind::find_overflow, "flat", plain_f32_input, enqueue_find_overflow),
    cuda_row(OpKind::update_loss_scale, "flat", plain_f32_input, enqueue_update_loss_scale),
};

}  // namespace

KernelRows cuda_optimizer_rows() { return {rows, static_cast<int>(std::size(rows))}; }

}  // namespace xbench
