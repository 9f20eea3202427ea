// Lists of layers to test and to time: kernels/<op>/problems.cfg, one layer a line. One line stands for the operator, its
// gradients and all layouts that a plan can give them, so that the conformance tests and the kernel bench run the same work.
//
//     conv2d n8 c8 h32 k16 r3 pad1 leaves8 name=pneumonia.f.4      # a comment
//
//   operator    one of the line kinds in the cases.cpp of the operators (kernels/cases/op_cases.h); it says which of these
//               keys it takes
//   sizes       letter and number: n c h w k r s of core/ops.h, f of linear; w is h and s is r when left out. adam and sgd
//               take n, the elements of the flat buffer. n0 is not a problem: a call has at least one image.
//   options     stride2 pad1 dilation2 (or stride_h2 stride_w1 ...), groups4, leaves8 (default 1), p=0.4 (of a pooling: a
//   dropout behind it), eps=1e-5,
//               weight_decay=0.01, momentum=0.9, update=3 (of an optimizer, counts from 1), loss_scale=1024 (of a
//               loss)
//   words       relu (of a pooling: its gradient masks by y), relu_input (of batchnorm), nobias, per_channel, exclude_pad,
//               noindex, decoupled, nesterov, scaled (an optimizer behind loss scaling), nopos (no pos_weight), bench (to be
//               timed only: the conformance tests leave it out, as the reference is too slow for it), bf16, f16 or tf32
//               (products of conv2d and linear)
//   name=...    a layer of a model, "model.layer", or what makes the case special
// What a line does not say takes these values: sizes 1, strides 1 (of a pooling: its window), paddings 0.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph.h"
#include "kernels/kernel.h"

namespace xbench {

// One call of one kernel: everything but the data.
struct LayerProblem {
    std::string name;  // of the line; may be empty
    std::string line;  // as written, without its name
    OpKind op = OpKind::count_;
    Attrs attrs;
    std::vector<KernelTensor> in, out;  // f32 where the operator is floating point; no addresses
    std::vector<int32_t> leaf_begin;    // {leaves + 1}
    uint32_t update = 1;                // of an optimizer
    float loss_scale = 0;               // of the gradient of a loss; 0: there is none
    bool bench_only = false;            // not for the conformance tests

    Problem problem() const;  // valid while this object lives: it points to attrs
    int64_t images() const { return leaf_begin.back(); }
    std::string text() const;  // "conv2d_wgrad 8x8x32x32 plain, ... (pneumonia.f.4)"
};

// The same call with its plain images and filters (operands of four dimensions) in nhwc.
LayerProblem in_nhwc(LayerProblem problem);

// All kernel calls that a line stands for. Throws UsageError, `where` names the place, for what it does not understand.
std::vector<LayerProblem> parse_problem(std::string_view line, const std::string& where);
// The same for a whole list; `where` is the name of its file.
std::vector<LayerProblem> parse_problems(std::string_view text, const std::string& where);
std::vector<LayerProblem> load_problems(const std::filesystem::path& file);

// Every problems.cfg under this folder (the kernels/ of the source tree), in the order of their paths.
std::vector<LayerProblem> load_all_problems(const std::filesystem::path& folder);

}  // namespace xbench
