// "cudnn": the convolution and its gradients by NVIDIA's cuDNN, as a yardstick and an oracle on a GPU. Never chosen by
// itself: only --impl conv2d=cudnn (conv2d_dgrad, conv2d_wgrad) asks for it. Operands f32, images and filters both plain or
// both nhwc; products in f32 or tf32. Its algorithms give the same bits in every run, but its sums over images know no
// leaves: weights that were trained with it depend on the number of GPUs.
#include "kernels/cuda/cudnn_library.h"

#include "kernels/cuda/row.h"

namespace xbench {
namespace {

constexpr float one = 1, zero = 0;

int size(int64_t dim) { return static_cast<int>(dim); }
int format_of(const KernelTensor& tensor) { return tensor.layout == Layout::nhwc ? cudnn_nhwc : cudnn_nchw; }

// The descriptors of one call, and the first failure among all that it does.
class Call {
public:
    explicit Call(const Problem& problem) : problem_(problem) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() {
        for (int i = 0; i < count_; ++i) destroy_[i](made_[i]);
    }

    void check(int result) {
        if (result_ == cudnn_success) result_ = result;
    }
    int result() const { return result_; }

    CudnnDescriptor image(const KernelTensor& t) {
        const CudnnDescriptor made = make(cudnn_.cudnnCreateTensorDescriptor, cudnn_.cudnnDestroyTensorDescriptor);
        check(cudnn_.cudnnSetTensor4dDescriptor(made, format_of(t), cudnn_f32, size(t.dim[0]), size(t.dim[1]),
                                                size(t.dim[2]), size(t.dim[3])));
        return made;
    }
    // A bias, or its gradient {k}, beside images of this format.
    CudnnDescriptor bias(const KernelTensor& t, const KernelTensor& images) {
        const CudnnDescriptor made = make(cudnn_.cudnnCreateTensorDescriptor, cudnn_.cudnnDestroyTensorDescriptor);
        check(cudnn_.cudnnSetTensor4dDescriptor(made, format_of(images), cudnn_f32, 1, size(t.dim[0]), 1, 1));
        return made;
    }
    CudnnDescriptor filters(const KernelTensor& t) {
        const CudnnDescriptor made = make(cudnn_.cudnnCreateFilterDescriptor, cudnn_.cudnnDestroyFilterDescriptor);
        check(cudnn_.cudnnSetFilter4dDescriptor(made, cudnn_f32, format_of(t), size(t.dim[0]), size(t.dim[1]),
                                                size(t.dim[2]), size(t.dim[3])));
        return made;
    }
    CudnnDescriptor convolution() {
        const auto& a = attributes<Conv2d>(problem_);
        const CudnnDescriptor made = make(cudnn_.cudnnCreateConvolutionDescriptor, cudnn_.cudnnDestroyConvolutionDescriptor);
        check(cudnn_.cudnnSetConvolution2dDescriptor(made, a.pad_h, a.pad_w, a.stride_h, a.stride_w, a.dilation_h,
                                                     a.dilation_w, cudnn_cross_correlation, cudnn_f32));
        check(cudnn_.cudnnSetConvolutionGroupCount(made, a.groups));
        check(cudnn_.cudnnSetConvolutionMathType(
            made, products_of(problem_) == DType::tf32 ? cudnn_default_math : cudnn_fma_math));
        return made;
    }
    CudnnDescriptor relu() {
        const CudnnDescriptor made = make(cudnn_.cudnnCreateActivationDescriptor, cudnn_.cudnnDestroyActivationDescriptor);
        check(cudnn_.cudnnSetActivationDescriptor(made, cudnn_relu, cudnn_propagate_nan, 0));
        return made;
    }

private:
    CudnnDescriptor make(int (*create)(CudnnDescriptor*), int (*destroy)(CudnnDescriptor)) {
        CudnnDescriptor made = nullptr;
        const int result = create(&made);
        check(result);
        if (result != cudnn_success) return nullptr;
        destroy_[count_] = destroy;
        made_[count_++] = made;
        return made;
    }

    const Cudnn& cudnn_ = cudnn_library();
    const Problem& problem_;
    int result_ = cudnn_success, count_ = 0;
    CudnnDescriptor made_[8];
    int (*destroy_[8])(CudnnDescriptor);
};

// body(handle, call) in the order of the queue.
template <class Body>
void in_order(const KernelArgs& args, CudaQueue& queue, Body&& body) noexcept {
    void* const stream = queue.begin_library_call();
    if (!stream) return;
    const CudnnHandle handle = cudnn_handle();
    if (!handle) return queue.keep_failure(0, "cuDNN was not started");
    Call call(args);
    call.check(cudnn_library().cudnnSetStream(handle, stream));
    body(handle, call);
    if (call.result() != cudnn_success)
        queue.keep_failure(0, std::string("cuDNN refuses: ") + cudnn_library().cudnnGetErrorString(call.result()));
}

Support takes(const Problem& problem, const KernelTensor& x, const KernelTensor& y, const KernelTensor& w) {
    const auto& a = attributes<Conv2d>(problem);
    if (x.dtype != DType::f32) return refused("element type");
    for (const KernelTensor* tensor : {&x, &y, &w})
        if (tensor->layout == Layout::nchw16c || tensor->layout != x.layout) return refused("layout");
    if (x.layout == Layout::nhwc && a.groups != 1) return refused("groups");
    if (const DType products = products_of(problem); products != DType::f32 && products != DType::tf32)
        return refused("products");
    return known_attributes(problem);
}
Support takes_forward(const Problem& p) { return takes(p, p.in[0], p.out[0], p.in[1]); }
Support takes_dgrad(const Problem& p) { return takes(p, p.out[0], p.in[0], p.in[1]); }
Support takes_wgrad(const Problem& p) { return takes(p, p.in[0], p.in[1], p.out[0]); }

bool never(const Problem&) { return false; }

// ---- x, w, [b] -> y

size_t forward_workspace(const Problem& p, int) {
    Call call(p);
    size_t bytes = 0;
    cudnn_library().cudnnGetConvolutionForwardWorkspaceSize(cudnn_handle(), call.image(p.in[0]), call.filters(p.in[1]),
                                                            call.convolution(), call.image(p.out[0]),
                                                            cudnn_forward_precomputed_gemm, &bytes);
    return bytes;
}

void enqueue_forward(const KernelArgs& args, CudaQueue& queue) noexcept {
    in_order(args, queue, [&](CudnnHandle handle, Call& call) {
        const Cudnn& cudnn = cudnn_library();
        const CudnnDescriptor y = call.image(args.out[0]);
        call.check(cudnn.cudnnConvolutionForward(handle, &one, call.image(args.in[0]), args.in[0].data,
                                                 call.filters(args.in[1]), args.in[1].data, call.convolution(),
                                                 cudnn_forward_precomputed_gemm, args.workspace, forward_workspace(args, 1),
                                                 &zero, y, args.out[0].data));
        if (const auto* bias = address<const float>(args.in, args.n_in, 2))
            call.check(
                cudnn.cudnnAddTensor(handle, &one, call.bias(args.in[2], args.out[0]), bias, &one, y, args.out[0].data));
        if (attributes<Conv2d>(args).activation == Activation::relu)
            call.check(
                cudnn.cudnnActivationForward(handle, call.relu(), &one, y, args.out[0].data, &zero, y, args.out[0].data));
    });
}

// ---- dy, w -> dx

size_t dgrad_workspace(const Problem& p, int) {
    Call call(p);
    size_t bytes = 0;
    cudnn_library().cudnnGetConvolutionBackwardDataWorkspaceSize(cudnn_handle(), call.filters(p.in[1]), call.image(p.in[0]),
                                                                 call.convolution(), call.image(p.out[0]),
                                                                 cudnn_backward_data_1, &bytes);
    return bytes;
}

void enqueue_dgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    in_order(args, queue, [&](CudnnHandle handle, Call& call) {
        call.check(cudnn_library().cudnnConvolutionBackwardData(
            handle, &one, call.filters(args.in[1]), args.in[1].data, call.image(args.in[0]), args.in[0].data,
            call.convolution(), cudnn_backward_data_1, args.workspace, dgrad_workspace(args, 1), &zero,
            call.image(args.out[0]), args.out[0].data));
    });
}

// ---- x, dy -> dw, [db]

size_t wgrad_workspace(const Problem& p, int) {
    Call call(p);
    size_t bytes = 0;
    cudnn_library().cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnn_handle(), call.image(p.in[0]), call.image(p.in[1]),
                                                                   call.convolution(), call.filters(p.out[0]),
                                                                   cudnn_backward_filter_1, &bytes);
    return bytes;
}

void enqueue_wgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    in_order(args, queue, [&](CudnnHandle handle, Call& call) {
        const Cudnn& cudnn = cudnn_library();
        const CudnnDescriptor dy = call.image(args.in[1]);
        call.check(cudnn.cudnnConvolutionBackwardFilter(handle, &one, call.image(args.in[0]), args.in[0].data, dy,
                                                        args.in[1].data, call.convolution(), cudnn_backward_filter_1,
                                                        args.workspace, wgrad_workspace(args, 1), &zero,
                                                        call.filters(args.out[0]), args.out[0].data));
        if (auto* db = address<float>(args.out, args.n_out, 1))
            call.check(cudnn.cudnnConvolutionBackwardBias(handle, &one, dy, args.in[1].data, &zero,
                                                          call.bias(args.out[1], args.in[1]), db));
    });
}

Kernel forced_row(OpKind op, Support (*supports)(const Problem&), void (*enqueue)(const KernelArgs&, CudaQueue&) noexcept,
                  size_t (*workspace)(const Problem&, int)) {
    Kernel row = cuda_row(op, "cudnn", supports, enqueue, workspace);
    row.wins = never;
    row.why_missing = why_no_cudnn;
    return row;
}

}  // namespace

KernelRows cuda_cudnn_rows() {
    static const Kernel rows[] = {
        forced_row(OpKind::conv2d, takes_forward, enqueue_forward, forward_workspace),
        forced_row(OpKind::conv2d_dgrad, takes_dgrad, enqueue_dgrad, dgrad_workspace),
        forced_row(OpKind::conv2d_wgrad, takes_wgrad, enqueue_wgrad, wgrad_workspace),
    };
    return {rows, static_cast<int>(std::size(rows))};
}

}  // namespace xbench
