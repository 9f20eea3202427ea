// The table of all kernel implementations: the files of kernels/operators.h, each compiled once for each instruction set,
// hand over the rows of their own namespaces. The plain references come last, so that they are chosen where nothing else
// fits.
#include "kernels/registry.h"

#include <algorithm>

#include "core/error.h"
#include "core/graph.h"
#include "kernels/cuda/images.h"
#include "kernels/operators.h"
#include "kernels/products.h"

namespace xbench {

#define XB_DECLARE_ROWS(stem) KernelRows stem##_rows();
#define XB_NO_ROWS(stem)
namespace isa_portable {
XB_ISA_FILES(XB_DECLARE_ROWS, XB_NO_ROWS)
}
namespace isa_avx2 {
XB_ISA_FILES(XB_DECLARE_ROWS, XB_NO_ROWS)
}
namespace isa_avx512 {
XB_ISA_FILES(XB_DECLARE_ROWS, XB_NO_ROWS)
}
namespace isa_avx512_bf16 {
XB_ISA_FILES(XB_NO_ROWS, XB_DECLARE_ROWS)
}
#undef XB_DECLARE_ROWS
#undef XB_NO_ROWS

namespace {

// Every reference computes all that its operator means, in f32 and f64.
Support reference_supports(const Problem& problem) {
    const DType type = problem.in[0].dtype;
    return type == DType::f32 || type == DType::f64 ? known_attributes(problem) : refused("element type");
}

std::vector<Kernel> make_table() {
    std::vector<Kernel> table;
    [[maybe_unused]] const auto append = [&](KernelRows rows) {
        table.insert(table.end(), rows.rows, rows.rows + rows.count);
    };
#if XB_HAVE_ISA_AVX512_BF16
#define XB_APPEND_BF16(stem) append(isa_avx512_bf16::stem##_rows());
#else
#define XB_APPEND_BF16(stem)
#endif
#if XB_HAVE_ISA_AVX512
#define XB_APPEND_AVX512(stem) append(isa_avx512::stem##_rows());
#else
#define XB_APPEND_AVX512(stem)
#endif
#if XB_HAVE_ISA_AVX2
#define XB_APPEND_AVX2(stem) append(isa_avx2::stem##_rows());
#else
#define XB_APPEND_AVX2(stem)
#endif
#define XB_APPEND_ROWS(stem) XB_APPEND_AVX512(stem) XB_APPEND_AVX2(stem) append(isa_portable::stem##_rows());
    XB_ISA_FILES(XB_APPEND_ROWS, XB_APPEND_BF16)
#undef XB_APPEND_ROWS
#undef XB_APPEND_BF16
#undef XB_APPEND_AVX2
#undef XB_APPEND_AVX512
    for (const auto rows : cuda_row_lists()) append(rows());
    for (int32_t op = 0; op < static_cast<int32_t>(OpKind::count_); ++op)
        if (const auto run = op_def(static_cast<OpKind>(op)).reference)
            table.push_back({static_cast<OpKind>(op), "reference", Isa::portable, reference_supports, nullptr, run});
    return table;
}

std::string to_string(const KernelTensor& tensor) {
    if (tensor.rank == 0) return "-";
    std::string text;
    for (int axis = 0; axis < tensor.rank; ++axis) text += (axis ? "x" : "") + std::to_string(tensor.dim[axis]);
    if (tensor.dtype != DType::f32) text += std::string(" ") + name_of(tensor.dtype);
    if (tensor.rank == 4) text += std::string(" ") + name_of(tensor.layout);
    return text;
}

}  // namespace

std::span<const Kernel> kernel_table() {
    static const std::vector<Kernel> table = make_table();
    return table;
}

KernelTensor kernel_tensor(const Shape& shape, DType dtype, Layout layout, void* data) {
    KernelTensor tensor{};
    tensor.data = data;
    tensor.dtype = dtype;
    tensor.layout = layout;
    tensor.rank = shape.rank;
    std::copy(shape.dim.begin(), shape.dim.end(), tensor.dim);
    return tensor;
}

DeviceKind kind_of(const Kernel& row) { return row.compute_capability > 0 ? DeviceKind::cuda : DeviceKind::cpu; }

std::string place_of(const Kernel& row) {
    return kind_of(row) == DeviceKind::cpu ? name_of(row.isa) : "sm_" + std::to_string(row.compute_capability);
}

namespace {

bool is_built_for(const Kernel& row, const Target& target) {
    if (kind_of(row) != target.kind) return false;
    return target.kind == DeviceKind::cpu ? row.isa <= target.isa : row.compute_capability <= target.compute_capability;
}

const char* why_missing(const Kernel& row) { return row.why_missing ? row.why_missing() : nullptr; }

// "winograd43 (avx2) refuses: stride, direct (avx2), reference (portable)": those for the target's kind of device.
std::string rows_of(const Problem& problem, DeviceKind kind) {
    std::string text;
    for (const Kernel& row : kernel_table()) {
        if (row.op != problem.op || kind_of(row) != kind) continue;
        text += (text.empty() ? "" : ", ") + std::string(row.name) + " (" + place_of(row) + ")";
        if (const Support support = supports(row, problem); !support) text += std::string(" refuses: ") + support.why_not;
    }
    return text.empty() ? "none" : text;
}

[[noreturn]] void no_kernel(const Problem& problem, const Target& target, const Choice* forced) {
    const std::string what = forced ? "the forced kernel " + forced->kernel + " cannot run" : "no kernel for";
    throw Error(what + " " + to_string(problem) + " with " + to_string(target), "kernel registry",
                "its rows are: " + rows_of(problem, target.kind), forced ? ExitCode::usage : ExitCode::failed);
}

[[noreturn]] void no_library(const Kernel& row) {
    throw Error(std::string("the forced kernel ") + row.name + " of " + name_of(row.op) + " cannot run", "kernel registry",
                row.why_missing(), ExitCode::usage);
}

}  // namespace

bool runs_on(const Kernel& row, const Target& target) { return is_built_for(row, target) && !why_missing(row); }

Target least_of(const Target& a, const Target& b) {
    if (a.kind != b.kind)
        throw Error("ranks compute on devices of different kinds, which round differently", "kernel registry",
                    "give all ranks the same kind of device");
    return {std::min(a.isa, b.isa), a.kind, std::min(a.compute_capability, b.compute_capability)};
}

std::string to_string(const Target& target) {
    if (target.kind == DeviceKind::cpu) return std::string("the instruction set ") + name_of(target.isa);
    return "compute capability " + std::to_string(target.compute_capability / 10) + "." +
           std::to_string(target.compute_capability % 10);
}

// Blocks of 16 channels are the lanes of AVX-512, and 2 vectors of AVX2; fewer channels would be partly padding.
// Tensor cores multiply along channels, and then nhwc is the layout of everything between them.
LayoutWishes wished_layouts(const Target& target, DType products) {
    if (target.kind == DeviceKind::cuda && products != DType::f32) return {Layout::nhwc, 1, 4};
    if (target.kind == DeviceKind::cuda) return {Layout::plain, 1, 0};
    return {Layout::nchw16c, 16, 4};
}

Support supports(const Kernel& row, const Problem& problem) {
    const auto nhwc = [](const KernelTensor& tensor) { return tensor.rank > 0 && tensor.layout == Layout::nhwc; };
    if (row.run && row.run != op_def(row.op).reference &&
        (std::any_of(problem.in, problem.in + problem.n_in, nhwc) ||
         std::any_of(problem.out, problem.out + problem.n_out, nhwc)))
        return refused("layout nhwc");
    return row.supports(problem);
}

bool is_candidate(const Kernel& row, const Problem& problem) {
    return (!row.wins || row.wins(problem)) && supports(row, problem);
}

const Kernel& select(const Problem& problem, const Target& target, std::span<const Choice> forced) {
    const Choice* choice = nullptr;
    for (const Choice& candidate : forced)
        if (candidate.op == name_of(problem.op)) choice = &candidate;
    for (const Kernel& row : kernel_table()) {
        if (row.op != problem.op || !is_built_for(row, target) || (choice && choice->kernel != row.name)) continue;
        if (!(choice ? bool(supports(row, problem)) : is_candidate(row, problem))) continue;
        if (why_missing(row)) no_library(row);  // it was asked for: no such row wins
        return row;
    }
    no_kernel(problem, target, choice);
}

const Kernel& reference(OpKind op) {
    const auto table = kernel_table();
    const auto row = std::find_if(table.rbegin(), table.rend(), [op](const Kernel& k) { return k.op == op; });
    if (row == table.rend()) throw Error(std::string("the operator ") + name_of(op) + " has no kernels", "kernel registry");
    return *row;
}

const char* name_of(Isa isa) {
    switch (isa) {
        case Isa::portable: return "portable";
        case Isa::avx2: return "avx2";
        case Isa::avx512: return "avx512";
        case Isa::avx512_bf16: return "avx512_bf16";
    }
    return "?";
}

std::string to_string(const Problem& problem) {
    std::string text = name_of(problem.op);
    if (products_of(problem) != DType::f32) text += std::string(" in ") + name_of(products_of(problem));
    for (int i = 0; i < problem.n_in; ++i) text += (i ? ", " : " ") + to_string(problem.in[i]);
    for (int i = 0; i < problem.n_out; ++i) text += (i ? ", " : " -> ") + to_string(problem.out[i]);
    return text;
}

}  // namespace xbench
