// The glossary of operators: one plain struct of attributes for each, with its meaning, operands and shapes.
// Plain data without member functions, because kernels built for one instruction set include it.
//
// Letters: n images; c, h, w input channels, height, width; k, r, s filters, their height and width; p, q output height
// and width. Gradients are dx, dw, dy. A bracketed operand may be absent. f32 unless said otherwise (a naive plan may
// hold everything in f64).
#pragma once

#include <cstdint>

#include "core/types.h"

namespace xbench {

// Every operator: the enumeration and the names in plans, tables and on the command line are made of this list.
//   what a model is written in
//   what the planner adds: gradients, the parts of a batch normalisation, changes of layout, communication
//   what an optimizer runs over the flat parameters
// clang-format off
#define XB_OPERATORS(op) \
    op(conv2d) op(batchnorm) op(relu) op(max_pool2d) op(avg_pool2d) op(global_avg_pool) op(flatten) op(linear) \
    op(dropout) op(add) op(softmax_cross_entropy) op(bce_with_logits) op(gelu) op(silu)                        \
    op(conv2d_dgrad) op(conv2d_wgrad) op(batchnorm_statistics) op(batchnorm_finalize) op(batchnorm_inference)  \
    op(batchnorm_apply) op(batchnorm_grad_statistics) op(batchnorm_grad_parameters) op(batchnorm_grad_input)   \
    op(batchnorm_pool_apply) op(batchnorm_pool_grad_statistics) op(batchnorm_pool_grad_input)                  \
    op(conv2d_statistics) op(conv2d_pool) op(conv2d_pool_wgrad) op(conv2d_batchnorm_pool_wgrad) op(relu_grad)  \
    op(max_pool2d_grad) op(avg_pool2d_grad) op(global_avg_pool_grad) op(linear_dgrad) op(linear_wgrad)         \
    op(dropout_grad) op(softmax_cross_entropy_grad) op(bce_with_logits_grad) op(accumulate) op(reorder)        \
    op(all_reduce) op(gelu_grad) op(silu_grad)                                                                 \
    op(adam) op(sgd) op(square_sums) op(average_weights) op(find_overflow) op(update_loss_scale)
// clang-format on

enum class OpKind : int32_t {
#define XB_ENUMERATOR(name) name,
    XB_OPERATORS(XB_ENUMERATOR)
#undef XB_ENUMERATOR
        count_
};

enum class Activation : int32_t { none, relu };

// conv2d        x{n,c,h,w}, w{k,c/groups,r,s}, [b{k}] -> y{n,k,p,q};  p = (h + 2 pad - dilation (r-1) - 1) / stride + 1
// conv2d_dgrad  dy, w -> dx
// conv2d_wgrad  x, dy -> dw, [db]       sums over the batch in the fixed tree over leaves (kernel.h)
// A cross-correlation, as in every deep-learning library. `activation` is applied after the bias (forward only).
// products bf16, f16 or tf32 (of linear, too): all operands but b (also for db) are first rounded to that type, to nearest,
// ties to even (tf32: away from zero; f16: to infinity past 65504); the products are then exact in f32, where they are added
// up. Operands and results stay f32 in memory.
struct Conv2d {
    int32_t r, s;
    int32_t stride_h, stride_w;
    int32_t pad_h, pad_w;
    int32_t dilation_h, dilation_w;
    int32_t groups;
    Activation activation;
    DType products = DType::f32;
};

// batchnorm  x{n,c,h,w}, gamma{c}, beta{c}, running_mean{c}, running_var{c} -> y. Models use it; the planner replaces it:
//   batchnorm_statistics       x, running_mean -> sums f64{2,c}: sum(x-K), sum((x-K)^2) over n,h,w with the shift K =
//                              running_mean, which keeps the squares small and the sums additive over leaves and ranks
//   all_reduce                 sums over all ranks (a step of the executor)
//   batchnorm_finalize         in sums, running_mean, running_var; out mean_rstd{2,c}, running_mean, running_var (the same
//                              memory as in): running += momentum * (batch - running), the variance unbiased (PyTorch's
//                              rule)
//   batchnorm_inference        running_mean, running_var -> mean_rstd{2,c}
//   batchnorm_apply            x, mean_rstd, gamma, beta -> y = (x - mean) * rstd * gamma + beta, then the activation
//   batchnorm_grad_statistics  x, dy, mean_rstd, [y] -> sums f64{2,c}: sum(dy), sum(dy * xhat)
//   batchnorm_grad_parameters  sums (of all ranks) -> dgamma{c}, dbeta{c} on the rank that owns the first leaf, zero on the
//                              others (StepContext.later_rank): rounded to f32 once, the gradients' sum over ranks is exact
//   batchnorm_grad_input       x, dy, mean_rstd, gamma, sums (of all ranks), [y] -> dx
// With activation relu the last three take y and use dy where y > 0, else 0. Ioffe and Szegedy, ICML 2015.
struct BatchNorm {
    float eps;
    float momentum;  // weight of the new value (PyTorch's sense; Keras' momentum is 1 minus this)
    Activation activation;
    int64_t pixels;  // h*w of x, set by the planner: finalize and grad_input divide by global_batch * pixels
    // relu: x itself is the output of a ReLU, and grad_input also does the ReLU's gradient: dx = x > 0 ? dx : 0
    Activation input_activation;
    // Its scale and shift are not learned: training, too, takes the running statistics and leaves them as they are.
    int32_t frozen = 0;
};

// dropout  x -> y = keep ? x / (1-p) : 0;   dropout_grad  dy -> dx with the same mask
// keep = uniform01(bits) >= p, where bits = word (e % 4) of
//   philox4x32(seed ^ (sample_id * 0x9E3779B97F4A7C15), e / 4, random_stream(stream, step))
// e is the logical element inside the image: (c*h + y)*w + x, or the channel c when per_channel (dropout2d).
struct Dropout {
    float p;
    int32_t per_channel;
    uint32_t stream;  // equal for a dropout and its gradient, different between dropouts
};

// What fuse makes of a batch normalisation (with or without ReLU) in front of a max-pooling whose windows touch but do not
// overlap: the normalised image is never written.
//   batchnorm_pool_apply            x, mean_rstd, gamma, beta -> y{n,c,p,q}, index u8{n,c,p,q}, xhat{n,c,p,q}: the
//                                   position of each window's first maximum, or closed_window where the activation is
//                                   relu and y is 0; the maximum's normalised x, which is all that the sums below need
//   batchnorm_pool_grad_statistics  xhat, dy, [index] -> sums f64{2,c}; index where the activation is relu or with dropout
//   batchnorm_pool_grad_input       x, dy, index, mean_rstd, gamma, sums (of all ranks) -> dx
// A dropout behind it comes along where dropout.p > 0: y is what the dropout makes of it, index is closed_window where an
// element is dropped, and the gradients, whose dy is the one behind the dropout, only scale it by 1/(1-p).
enum { closed_window = 255 };  // no position: windows are smaller
struct BatchNormPool {
    BatchNorm norm;  // norm.pixels counts those of x
    int32_t r, s;    // window and stride
    Dropout dropout = {};
};

// What fuse makes of a convolution and the passes over memory beside it, where the convolution's kernel can do both:
//   conv2d_statistics            x, w, [b], running_mean -> y, sums: conv2d, then batchnorm_statistics of y
//   conv2d_pool                  x, w, [b] -> y{n,k,p,q}, [index u8]: conv2d, then max_pool2d with touching windows; index
//                                as in batchnorm_pool_apply, absent in inference
//   conv2d_pool_wgrad            x, dy, index -> dw, [db]: conv2d_wgrad of max_pool2d_grad, both of conv2d_pool
//   conv2d_batchnorm_pool_wgrad  x, y of conv2d, and dy, index, mean_rstd, gamma, sums of batchnorm_pool_grad_input
//                                -> dw, [db]: conv2d_wgrad of batchnorm_pool_grad_input
// The last two are for a first layer, whose dy nobody else reads: it is then never written. conv2d_statistics has the
// attributes of conv2d.
struct Conv2dPool {
    Conv2d conv;
    int32_t r, s;          // window and stride
    Dropout dropout = {};  // of conv2d_pool, as in BatchNormPool
};
struct Conv2dBatchNormPool {
    Conv2d conv;
    BatchNormPool pool;
};

// relu       x -> y = max(x, 0)
// relu_grad  dy, y -> dx = y > 0 ? dy : 0
// gelu       x -> y = x Phi(x), Phi of the normal distribution;   gelu_grad  dy, x -> dx = dy (Phi(x) + x phi(x))
// silu       x -> y = x s(x), s(x) = 1 / (1 + exp(-x));           silu_grad  dy, x -> dx = dy s (1 + x (1 - s))
// flatten    x{n,...} -> y{n,product}: same memory, plain layout
// add        a, b -> a + b            accumulate  a, b -> a + b (sum of two gradients)
// reorder    x -> the same values in another layout; padding channels become zero
struct Elementwise {
    Activation activation;  // of add
};

// max_pool2d       x{n,c,h,w} -> y{n,c,p,q}, index u8{n,c,p,q}: position i*s+j of the first maximum in its window.
//                  Inference plans leave index out. Padding never wins.
// max_pool2d_grad  dy, index, [y] -> dx; with y (the pooled output of a ReLU) only where y > 0
//                  With dropout.p > 0 (windows that touch) both do the dropout behind them too, as in BatchNormPool.
// avg_pool2d       x -> y; divides by r*s, or by the number of real elements when not count_include_pad
// avg_pool2d_grad  dy -> dx
// global_avg_pool  x{n,c,h,w} -> y{n,c};   global_avg_pool_grad  dy{n,c} -> dx{n,c,h,w}
struct Pool2d {
    int32_t r, s;
    int32_t stride_h, stride_w;
    int32_t pad_h, pad_w;
    int32_t count_include_pad;
    Dropout dropout = {};  // of max_pool2d
};

// linear        x{n,f}, w{k,f}, [b{k}] -> y{n,k} = x w^T + b, then the activation
// linear_dgrad  dy, w -> dx
// linear_wgrad  x, dy -> dw, [db]       sums over the batch in the fixed tree over leaves
struct Linear {
    Activation activation;
    DType products = DType::f32;
};

// softmax_cross_entropy       logits{n,k}, labels i32{n}, [class_weight{k}] -> loss_sum f64{1}, probabilities{n,k}
//   loss = -sum_k class_weight_k q_k log p_k, q = (1-smoothing) onehot + smoothing / K, or with focal
//   -class_weight_y (1-p_y)^gamma log p_y
// softmax_cross_entropy_grad  probabilities, labels, [class_weight] -> dlogits = d loss / d logits * inverse_batch *
//   loss_scale; that is (probabilities - onehot) * inverse_batch * loss_scale where nothing else is asked for
// bce_with_logits             logits{n,k}, targets{n,k}, pos_weight{k}, [class_weight{k}] -> loss_sum f64{1},
//                             probabilities{n,k}
//   loss = -class_weight (pos_weight t log s(x) + (1-t) log(1-s(x))), summed over n and divided by k; t is what smoothing
//   makes of the target, (1-smoothing) t + smoothing / 2. With focal, p = s t + (1-s) (1-t), a = alpha t + (1-alpha) (1-t):
//   times a (1-p)^gamma. Lin et al., ICCV 2017, as in torchvision. A target below 0 is unknown and adds nothing.
// bce_with_logits_grad        probabilities, targets, pos_weight, [class_weight] -> dlogits = d loss / d logits *
//                             inverse_batch * loss_scale
// loss_sum is the sum over the images (fixed tree over leaves); the mean is loss_sum * inverse_batch. loss_scale is that of
// the StepContext, 1 where it has none.
struct Loss {
    float smoothing = 0;
    int32_t focal = 0;
    float gamma = 2, alpha = 0.25f;
};

// adam  in g{n}; out p{n}, m{n}, v{n}, updated in place; lr and t are StepContext's. Kingma and Ba, ICLR 2015, with
// PyTorch's placement of eps:
//   g' = g + weight_decay p (adam), p -= lr weight_decay p (adamw, decoupled)
//   m = b1 m + (1-b1) g';  v = b2 v + (1-b2) g'^2;  p -= lr/(1-b1^t) * m / (sqrt(v)/sqrt(1-b2^t) + eps)
// sgd   in g{n}; out p{n}, m{n}, in place:  g' = g + weight_decay p;  m = momentum m + g' (m = g' at t = 1);  p -= lr
// (nesterov ? g' + momentum m : m)
// g is gradient_scale times what lies in memory: clipping.
// square_sums      in g{n} -> sums f64{ceil(n/16)}: of the squares of 16 neighbours each, added up in one fixed order
// average_weights  in p{n}; out a{n}, in place: a = average_decay a + (1-average_decay) p
// adam, sgd and average_weights take [scaling]{4} behind their input, the state of dynamic loss scaling below: what lies in
// memory is then scale times the gradient, t counts no update that was skipped, and nothing changes where `overflow` is not
// 0.
struct Optimizer {
    float beta1, beta2, eps, weight_decay, momentum;
    int32_t decoupled, nesterov;
    float gradient_scale = 1, average_decay = 0;
};

// Dynamic loss scaling (Micikevicius et al., ICLR 2018). Its state is four f32 numbers, which count exactly:
//   0 scale, 1 good: updates since the scale last changed, 2 skipped: updates in all, 3 overflow: of this update, 0 or more
// find_overflow      g{n}, scaling -> scaling: overflow becomes 1 where an element of g is not finite
// update_loss_scale  scaling -> scaling, behind the update: with an overflow scale *= backoff, skipped += 1, good = 0; else
//                    good += 1 and, at growth_interval, scale *= growth, good = 0. Then overflow = 0.
enum { scaling_scale, scaling_good, scaling_skipped, scaling_overflow, scaling_elements };
struct LossScaling {
    float growth, backoff;
    int32_t growth_interval;
};

// Every struct of attributes above.
#define XB_ATTRIBUTES                                                                                              \
    Conv2d, BatchNorm, BatchNormPool, Conv2dPool, Conv2dBatchNormPool, Elementwise, Pool2d, Linear, Dropout, Loss, \
        Optimizer, LossScaling

}  // namespace xbench
