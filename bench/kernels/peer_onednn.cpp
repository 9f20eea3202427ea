// oneDNN's convolutions as the peer of ours. The only user of dnnl.hpp (version 2, Debian's libdnnl-dev). Every primitive
// takes the memory formats that it likes best; data is brought into them before any timing.
#include <omp.h>

#include <cstring>
#include <dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "bench/kernels/kernel_peer.h"
#include "core/error.h"
#include "kernels/products.h"

namespace xbench {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
constexpr auto f32 = memory::data_type::f32;
constexpr auto algorithm = dnnl::algorithm::convolution_auto;  // its own choice

// Never more than xbench itself uses. To be called before oneDNN does anything.
void limit_isa(Isa isa) {
    static const bool done = [isa] {
        if (isa == Isa::portable) dnnl::set_max_cpu_isa(dnnl::cpu_isa::sse41);
        if (isa == Isa::avx2) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
        return true;
    }();
    static_cast<void>(done);
}

struct Engine {
    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{engine};
};
Engine& cpu() {
    static Engine engine;
    return engine;
}

memory::dims dims_of(const KernelTensor& t) { return memory::dims(t.dim, t.dim + t.rank); }

// The problem seen by oneDNN: shapes without formats, and the formats that xbench has.
struct Shapes {
    memory::dims x, w, b, y, strides, dilations, padding;

    Shapes(const Conv2d& a, const KernelTensor& tx, const KernelTensor& tw, const KernelTensor& ty)
        : x(dims_of(tx)),
          w(dims_of(tw)),
          b{tw.dim[0]},
          y(dims_of(ty)),
          strides{a.stride_h, a.stride_w},
          dilations{a.dilation_h - 1, a.dilation_w - 1},
          padding{a.pad_h, a.pad_w} {
        if (a.groups > 1) w = {a.groups, tw.dim[0] / a.groups, tw.dim[1], tw.dim[2], tw.dim[3]};
    }
    static memory::desc any(const memory::dims& dims) { return {dims, f32, Tag::any}; }
    memory::desc bias(bool present) const { return present ? memory::desc(b, f32, Tag::x) : memory::desc(); }
};

memory::desc own_format(const KernelTensor& t, const memory::dims& dims) {
    if (t.layout == Layout::nchw16c) return {dims, f32, Tag::nChw16c};
    if (t.layout == Layout::nhwc) return {dims, f32, dims.size() == 5 ? Tag::gohwi : dims.size() == 4 ? Tag::nhwc : Tag::x};
    return {dims, f32, dims.size() == 5 ? Tag::goihw : dims.size() == 4 ? Tag::nchw : Tag::x};
}

class OnednnConvolution : public KernelPeer {
public:
    OnednnConvolution(const KernelArgs& args, const Conv2d& attrs) {
        if (args.op == OpKind::conv2d) make_forward(args, attrs);
        if (args.op == OpKind::conv2d_dgrad) make_dgrad(args, attrs);
        if (args.op == OpKind::conv2d_wgrad) make_wgrad(args, attrs);
        cpu().stream.wait();
    }
    void run() override {
        primitive_.execute(cpu().stream, operands_);
        cpu().stream.wait();
    }
    void reorder_filters() override {
        filters_.reorder.execute(cpu().stream, filters_.from, filters_.to);
        cpu().stream.wait();
    }
    std::string implementation() const override { return implementation_; }
    void read_output(int index, void* to) override {
        Output& output = outputs_.at(static_cast<size_t>(index));
        memory copy(output.own_format, cpu().engine);
        dnnl::reorder(output.data, copy).execute(cpu().stream, output.data, copy);
        cpu().stream.wait();
        std::memcpy(to, copy.get_data_handle(), output.own_format.get_size());
    }

private:
    struct Filters {
        memory from, to;
        dnnl::reorder reorder;
    };
    struct Output {
        memory data;
        memory::desc own_format;
    };

    static dnnl::convolution_forward::primitive_desc forward(const Shapes& s, bool bias, const dnnl::primitive_attr& attr) {
        const dnnl::convolution_forward::desc desc(dnnl::prop_kind::forward_training, algorithm, Shapes::any(s.x),
                                                   Shapes::any(s.w), s.bias(bias), Shapes::any(s.y), s.strides, s.dilations,
                                                   s.padding, s.padding);
        return {desc, attr, cpu().engine};
    }

    void make_forward(const KernelArgs& args, const Conv2d& a) {
        const Shapes s(a, args.in[0], args.in[1], args.out[0]);
        const bool bias = args.n_in > 2 && args.in[2].rank > 0;
        dnnl::primitive_attr attr;
        dnnl::post_ops epilogue;
        if (a.activation == Activation::relu) epilogue.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
        attr.set_post_ops(epilogue);
        const auto pd = forward(s, bias, attr);
        input(DNNL_ARG_SRC, pd.src_desc(), args.in[0], s.x);
        input(DNNL_ARG_WEIGHTS, pd.weights_desc(), args.in[1], s.w);
        if (bias) input(DNNL_ARG_BIAS, pd.bias_desc(), args.in[2], s.b);
        output(DNNL_ARG_DST, pd.dst_desc(), args.out[0], s.y);
        finish(pd, dnnl::convolution_forward(pd));
    }

    void make_dgrad(const KernelArgs& args, const Conv2d& a) {
        const Shapes s(a, args.out[0], args.in[1], args.in[0]);
        const dnnl::convolution_backward_data::desc desc(algorithm, Shapes::any(s.x), Shapes::any(s.w), Shapes::any(s.y),
                                                         s.strides, s.dilations, s.padding, s.padding);
        const dnnl::convolution_backward_data::primitive_desc pd(desc, cpu().engine, forward(s, false, {}));
        input(DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), args.in[0], s.y);
        input(DNNL_ARG_WEIGHTS, pd.weights_desc(), args.in[1], s.w);
        output(DNNL_ARG_DIFF_SRC, pd.diff_src_desc(), args.out[0], s.x);
        finish(pd, dnnl::convolution_backward_data(pd));
    }

    void make_wgrad(const KernelArgs& args, const Conv2d& a) {
        const Shapes s(a, args.in[0], args.out[0], args.in[1]);
        const bool bias = args.n_out > 1 && args.out[1].rank > 0;
        const dnnl::convolution_backward_weights::desc desc(algorithm, Shapes::any(s.x), Shapes::any(s.w), s.bias(bias),
                                                            Shapes::any(s.y), s.strides, s.dilations, s.padding, s.padding);
        const dnnl::convolution_backward_weights::primitive_desc pd(desc, cpu().engine, forward(s, bias, {}));
        input(DNNL_ARG_SRC, pd.src_desc(), args.in[0], s.x);
        input(DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), args.in[1], s.y);
        output(DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc(), args.out[0], s.w);
        if (bias) output(DNNL_ARG_DIFF_BIAS, pd.diff_bias_desc(), args.out[1], s.b);
        finish(pd, dnnl::convolution_backward_weights(pd));
    }

    // Copies an operand of xbench into memory of the format that the primitive wants.
    void input(int argument, const memory::desc& wanted, const KernelTensor& tensor, const memory::dims& dims) {
        memory from(own_format(tensor, dims), cpu().engine, tensor.data), to(wanted, cpu().engine);
        dnnl::reorder reorder(from, to);
        reorder.execute(cpu().stream, from, to);
        cpu().stream.wait();
        operands_.insert({argument, to});
        if (argument == DNNL_ARG_WEIGHTS) filters_ = {from, to, reorder};
    }
    void output(int argument, const memory::desc& wanted, const KernelTensor& tensor, const memory::dims& dims) {
        const memory to(wanted, cpu().engine);
        operands_.insert({argument, to});
        outputs_.push_back({to, own_format(tensor, dims)});
        if (argument != DNNL_ARG_DIFF_WEIGHTS) return;
        const memory own(own_format(tensor, dims), cpu().engine, tensor.data);
        filters_ = {to, own, dnnl::reorder(to, own)};
    }
    template <class Description>
    void finish(const Description& description, const dnnl::primitive& primitive) {
        primitive_ = primitive;
        implementation_ = description.impl_info_str();
    }

    dnnl::primitive primitive_;
    std::unordered_map<int, memory> operands_;
    std::vector<Output> outputs_;
    Filters filters_;
    std::string implementation_;
};

}  // namespace

std::string peer_name() {
    const dnnl_version_t* version = dnnl_version();
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch);
}

std::unique_ptr<KernelPeer> make_peer(const KernelArgs& args, const Kernel& against, Device& device) {
    if (!device.is_host()) return nullptr;
    if (args.op != OpKind::conv2d && args.op != OpKind::conv2d_dgrad && args.op != OpKind::conv2d_wgrad) return nullptr;
    if (products_of(args) != DType::f32) return nullptr;
    limit_isa(against.isa);
    omp_set_num_threads(device.threads());  // oneDNN takes as many as OpenMP would
    try {
        return std::make_unique<OnednnConvolution>(args, *static_cast<const Conv2d*>(args.attrs));
    } catch (const dnnl::error& error) {
        if (error.status == dnnl_unimplemented) return nullptr;
        throw Error(std::string("oneDNN: ") + error.what(), "kernel peer");
    }
}

}  // namespace xbench
