// "cublaslt": the fully connected layer and its gradients by NVIDIA's cuBLASLt, as a yardstick and an oracle on a GPU. Never
// chosen by itself: only --impl linear=cublaslt (linear_dgrad, linear_wgrad) asks for it. Products in f32, or rounded to
// tf32, bf16 or f16 as cuBLASLt sees fit. Its sums over images know no leaves: weights that were trained with it depend on
// the number of GPUs. The gradient of the bias is that of "simt".
#include "kernels/cuda/cublaslt_library.h"

#include "kernels/cuda/image_sums.h"
#include "kernels/cuda/row.h"

namespace xbench {
namespace {

XB_CUDA_FUNCTION(linear_bias_gradient, linear_simt, linear_bias_gradient);

constexpr float one = 1, zero = 0;
constexpr size_t workspace_bytes = size_t{4} << 20;

// cuBLASLt's matrices lie column by column: what is {rows, columns} here is {columns, rows} there.
struct Matrix {
    const void* data;
    int64_t rows, columns;
    int transposed = 0;
};

struct Product {
    Matrix a, b, d;  // as cuBLASLt has them: d = a b
    int epilogue = 1;
    const void* bias = nullptr;
};

int compute_type(DType products) {
    return products == DType::bf16   ? cublaslt_compute_bf16
           : products == DType::f16  ? cublaslt_compute_f16
           : products == DType::tf32 ? cublaslt_compute_tf32
                                     : cublaslt_compute_f32;
}

// The descriptors of one product, and the first failure among all that it does.
class Call {
public:
    explicit Call(const Product& product, DType products) {
        check(lt_.cublasLtMatmulDescCreate(&multiply_, compute_type(products), cublaslt_f32));
        set(cublaslt_transpose_a, product.a.transposed);
        set(cublaslt_transpose_b, product.b.transposed);
        set(cublaslt_epilogue, product.epilogue);
        if (product.bias) set(cublaslt_bias_pointer, product.bias);
        const Matrix* const matrices[] = {&product.a, &product.b, &product.d};
        for (int i = 0; i < 3; ++i)
            check(lt_.cublasLtMatrixLayoutCreate(&layout_[i], cublaslt_f32, static_cast<uint64_t>(matrices[i]->rows),
                                                 static_cast<uint64_t>(matrices[i]->columns), matrices[i]->rows));
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() {
        for (const CublasLtDescriptor layout : layout_)
            if (layout) lt_.cublasLtMatrixLayoutDestroy(layout);
        if (multiply_) lt_.cublasLtMatmulDescDestroy(multiply_);
    }

    void run(const Product& product, CublasLtHandle handle, void* workspace, void* stream) {
        if (result_ != cublaslt_success) return;
        auto* const d = const_cast<void*>(product.d.data);
        check(lt_.cublasLtMatmul(handle, multiply_, &one, product.a.data, layout_[0], product.b.data, layout_[1], &zero, d,
                                 layout_[2], d, layout_[2], nullptr, workspace, workspace_bytes, stream));
    }
    int result() const { return result_; }

private:
    void check(int result) {
        if (result_ == cublaslt_success) result_ = result;
    }
    template <class T>
    void set(int attribute, const T& value) {
        check(lt_.cublasLtMatmulDescSetAttribute(multiply_, attribute, &value, sizeof value));
    }

    const CublasLt& lt_ = cublaslt_library();
    int result_ = cublaslt_success;
    CublasLtDescriptor multiply_ = nullptr, layout_[3] = {};
};

void multiply(const KernelArgs& args, CudaQueue& queue, const Product& product) noexcept {
    void* const stream = queue.begin_library_call();
    if (!stream) return;
    const CublasLtHandle handle = cublaslt_handle();
    if (!handle) return queue.keep_failure(0, "cuBLASLt was not started");
    Call call(product, products_of(args));
    call.run(product, handle, args.workspace, stream);
    if (call.result() != cublaslt_success)
        queue.keep_failure(0, std::string("cuBLASLt refuses: ") + cublaslt_library().cublasLtGetStatusString(call.result()));
}

Matrix stored(const KernelTensor& t, int transposed = 0) { return {t.data, t.dim[1], t.dim[0], transposed}; }

// y{n,k} = x w^T
void enqueue_forward(const KernelArgs& args, CudaQueue& queue) noexcept {
    Product product{stored(args.in[1], 1), stored(args.in[0]), stored(args.out[0])};
    product.bias = address<const float>(args.in, args.n_in, 2);
    const int relu = attributes<Linear>(args).activation == Activation::relu ? cublaslt_epilogue_relu : 0;
    if (const int epilogue = relu | (product.bias ? cublaslt_epilogue_bias : 0)) product.epilogue = epilogue;
    multiply(args, queue, product);
}

// dx{n,f} = dy w
void enqueue_dgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    multiply(args, queue, {stored(args.in[1]), stored(args.in[0]), stored(args.out[0])});
}

// dw{k,f} = dy^T x
void enqueue_wgrad(const KernelArgs& args, CudaQueue& queue) noexcept {
    multiply(args, queue, {stored(args.in[0]), stored(args.in[1], 1), stored(args.out[0])});
    const int64_t k = args.in[1].dim[1];
    if (auto* db = address<float>(args.out, args.n_out, 1))
        queue.launch(linear_bias_gradient, {blocks_for(k, sum_columns)}, {sum_columns, sum_lanes}, 0,
                     image_partials(address<const float>(args.in[1]), k), queue.step(), db);
}

Support takes(const Problem& problem) {
    for (int32_t i = 0; i < problem.n_in; ++i)
        if (problem.in[i].rank > 0 && problem.in[i].dtype != DType::f32) return refused("element type");
    return known_attributes(problem);
}

size_t workspace(const Problem&, int) { return workspace_bytes; }
bool never(const Problem&) { return false; }

Kernel forced_row(OpKind op, void (*enqueue)(const KernelArgs&, CudaQueue&) noexcept) {
    Kernel row = cuda_row(op, "cublaslt", takes, enqueue, workspace);
    row.wins = never;
    row.why_missing = why_no_cublaslt;
    return row;
}

}  // namespace

KernelRows cuda_cublaslt_rows() {
    static const Kernel rows[] = {
        forced_row(OpKind::linear, enqueue_forward),
        forced_row(OpKind::linear_dgrad, enqueue_dgrad),
        forced_row(OpKind::linear_wgrad, enqueue_wgrad),
    };
    return {rows, static_cast<int>(std::size(rows))};
}

}  // namespace xbench
