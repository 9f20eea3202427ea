// Kernels of CUTLASS (NVIDIA, BSD-3-Clause; headers of PyPI's nvidia-cutlass, which scripts/install_deps.sh --cutlass
// fetches): products of matrices by mma.sync with multistage cp.async, ldmatrix and swizzled shared memory, one by fused
// multiply-adds, and an implicit-GEMM convolution. Nothing of CUTLASS is kept here: this file names its templates, and is
// compiled where they are. A kernel makes its parameters itself, so that the driver API is all that a launch needs;
// <kernel>_needs holds the threads and the bytes of shared memory of a block.
#include "cutlass/conv/kernel/default_conv2d_fprop.h"
#include "cutlass/epilogue/thread/linear_combination.h"
#include "cutlass/gemm/kernel/default_gemm.h"

using cutlass::gemm::GemmShape;
using Row = cutlass::layout::RowMajor;
using Column = cutlass::layout::ColumnMajor;
using Swizzle = cutlass::gemm::threadblock::GemmIdentityThreadblockSwizzle<>;
using Block = GemmShape<64, 64, 32>;
using SimtBlock = GemmShape<64, 64, 8>;
template <int elements>
using Output = cutlass::epilogue::thread::LinearCombination<float, elements, float, float>;

// c{m,n} = a{m,k} b{k,n}, a by rows, c by rows in f32.
template <class Element, class LayoutB, class Instruction, int stages>
using TensorGemm =
    typename cutlass::gemm::kernel::DefaultGemm<Element, Row, 16 / sizeof(Element), Element, LayoutB, 16 / sizeof(Element),
                                                float, Row, float, cutlass::arch::OpClassTensorOp, cutlass::arch::Sm80,
                                                Block, GemmShape<32, 32, 32>, Instruction, Output<4>, Swizzle, stages, false,
                                                cutlass::arch::OpMultiplyAdd>::GemmKernel;
using SimtGemm =
    typename cutlass::gemm::kernel::DefaultGemm<float, Row, 1, float, Row, 1, float, Row, float, cutlass::arch::OpClassSimt,
                                                cutlass::arch::Sm80, SimtBlock, GemmShape<32, 32, 8>, GemmShape<1, 1, 1>,
                                                Output<1>, Swizzle, 4, false, cutlass::arch::OpMultiplyAdd>::GemmKernel;

template <class Kernel, class Element, class Tile>
__device__ void multiply(const Element* a, const Element* b, float* c, int m, int n, int k, int pitch_of_b, const Tile&) {
    extern __shared__ __align__(128) unsigned char shared[];
    const cutlass::gemm::GemmCoord size(m, n, k);
    const auto tiles = Swizzle::get_tiled_shape(size, {Tile::kM, Tile::kN, Tile::kK}, 1);
    const typename Kernel::Params params(size, tiles, {const_cast<Element*>(a), k}, {const_cast<Element*>(b), pitch_of_b},
                                         {c, n}, {c, n}, {1.0f, 0.0f});
    Kernel()(params, *reinterpret_cast<typename Kernel::SharedStorage*>(shared));
}

#define XB_CUTLASS_GEMM(name, Kernel, Element, Tile, pitch_of_b)                                                  \
    extern "C" __device__ const int name##_needs[2] = {Kernel::kThreadCount, int(sizeof(Kernel::SharedStorage))}; \
    extern "C" __global__ void __launch_bounds__(Kernel::kThreadCount)                                            \
        name(const Element* a, const Element* b, float* c, int m, int n, int k) {                                 \
        multiply<Kernel>(a, b, c, m, n, k, pitch_of_b, Tile());                                                   \
    }

using Fp16 = TensorGemm<cutlass::half_t, Column, GemmShape<16, 8, 16>, 3>;
using Bf16 = TensorGemm<cutlass::bfloat16_t, Row, GemmShape<16, 8, 16>, 4>;
using Tf32 = TensorGemm<float, Column, GemmShape<16, 8, 8>, 3>;
XB_CUTLASS_GEMM(cutlass_fp16, Fp16, cutlass::half_t, Block, k)
XB_CUTLASS_GEMM(cutlass_bf16, Bf16, cutlass::bfloat16_t, Block, n)
XB_CUTLASS_GEMM(cutlass_tf32, Tf32, float, Block, k)
XB_CUTLASS_GEMM(cutlass_simt, SimtGemm, float, SimtBlock, n)

// y{n,p,q,k} of x{n,h,w,c} and filters {k,r,s,c}, padding 1, stride 2.
using Convolution = typename cutlass::conv::kernel::DefaultConv2dFprop<
    cutlass::half_t, cutlass::layout::TensorNHWC, cutlass::half_t, cutlass::layout::TensorNHWC, float,
    cutlass::layout::TensorNHWC, float, cutlass::arch::OpClassTensorOp, cutlass::arch::Sm80, Block, GemmShape<32, 32, 32>,
    GemmShape<16, 8, 16>, Output<4>, Swizzle, 3, cutlass::arch::OpMultiplyAdd, cutlass::conv::IteratorAlgorithm::kOptimized,
    cutlass::conv::StrideSupport::kStrided>::Kernel;

extern "C" __device__ const int cutlass_conv_needs[2] = {Convolution::kThreadCount, int(sizeof(Convolution::SharedStorage))};
extern "C" __global__ void __launch_bounds__(Convolution::kThreadCount)
    cutlass_conv(const cutlass::half_t* x, const cutlass::half_t* w, float* y, int n, int h, int c, int k) {
    extern __shared__ __align__(128) unsigned char shared[];
    using Layout = cutlass::layout::TensorNHWC;
    const int p = (h + 1) / 2;
    const cutlass::conv::Conv2dProblemSize size(n, h, h, c, k, 3, 3, p, p, 1, 1, 2, 2, 1, 1,
                                                cutlass::conv::Mode::kCrossCorrelation);
    const typename Convolution::Arguments arguments(size, {const_cast<cutlass::half_t*>(x), Layout::packed({n, h, h, c})},
                                                    {const_cast<cutlass::half_t*>(w), Layout::packed({k, 3, 3, c})},
                                                    {y, Layout::packed({n, p, p, k})}, {y, Layout::packed({n, p, p, k})},
                                                    {1.0f, 0.0f});
    const typename Convolution::Params params(arguments);
    Convolution()(params, *reinterpret_cast<typename Convolution::SharedStorage*>(shared));
}
