// The random lines.
#include "random_problems.h"

#include <algorithm>

#include "core/error.h"

namespace xbench::test {
namespace {

// One line as it grows.
class Line {
public:
    explicit Line(const std::string& op) : text_(op) {}
    Line& size(const char* key, int64_t value) {
        text_ += fmt::format(" {}{}", key, value);
        return *this;
    }
    Line& real(const char* key, double value) {
        text_ += fmt::format(" {}={:.3g}", key, value);
        return *this;
    }
    Line& word(const char* key, bool there) {
        if (there) text_ += fmt::format(" {}", key);
        return *this;
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

int64_t channels(Draw& draw) {
    switch (draw.whole(0, 3)) {
        case 0: return draw.whole(1, 8);
        case 1: return std::max<int64_t>(1, 16 * draw.whole(1, 5) + draw.whole(-1, 1));
        case 2: return draw.whole(1, 80);
        default: return draw.one_of<int64_t>({1, 2, 3, 4, 15, 16, 17, 31, 32, 33, 48, 64});
    }
}

void image(Draw& draw, Line& line, int64_t most, int64_t smallest = 1) {
    int64_t n, c, h, w;
    do {
        n = draw.whole(1, 7), c = channels(draw), h = draw.whole(smallest, 24);
        w = draw.chance(.5) ? h : draw.whole(smallest, 60);
    } while (n * c * h * w > most);
    line.size("n", n).size("c", c).size("h", h).size("w", w);
}

void dropout_behind(Draw& draw, Line& line) {
    if (!draw.chance(.3)) return;
    line.real("p", static_cast<double>(draw.whole(5, 95)) / 100).word("per_channel", draw.chance(.4));
}

struct Convolution {
    int64_t n, c, h, w, k, r, s, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups = 1;
    int64_t height() const { return h + 2 * pad_h - dilation_h * (r - 1) - 1; }
    int64_t width() const { return w + 2 * pad_w - dilation_w * (s - 1) - 1; }
    int64_t multiplies() const {
        return n * k * (c / groups) * r * s * (height() / stride_h + 1) * (width() / stride_w + 1);
    }
};

void with_groups(Draw& draw, Convolution& conv) {
    conv.groups = draw.one_of<int64_t>({0, 2, 3, 4});
    if (conv.groups == 0) {  // depthwise
        conv.groups = conv.c;
        conv.k = conv.c * draw.one_of<int64_t>({1, 1, 2, 3});
        return;
    }
    const int64_t unit = draw.chance(.5) ? 16 : draw.whole(1, 20);
    conv.c = conv.groups * unit, conv.k = conv.groups * (draw.chance(.5) ? unit : draw.whole(1, 20));
}

// Few pixels under many channels: deep layers, where Winograd's tiles are few.
void deep(Draw& draw, Convolution& conv) {
    conv.n = draw.whole(1, 3), conv.c = draw.whole(100, 500), conv.h = draw.whole(1, 7), conv.w = draw.whole(1, 7);
    conv.k = draw.whole(8, 60), conv.r = conv.s = 3, conv.pad_h = conv.pad_w = draw.whole(0, 1);
    conv.stride_h = conv.stride_w = conv.dilation_h = conv.dilation_w = 1;
}

Convolution convolution(Draw& draw, bool fused) {
    Convolution conv;
    do {
        conv = {};
        conv.groups = 1;
        conv.n = draw.whole(1, 7), conv.c = channels(draw), conv.k = channels(draw);
        conv.h = draw.whole(1, 26), conv.w = draw.chance(.5) ? conv.h : draw.whole(1, 60);
        conv.r = draw.chance(.5) ? 3 : draw.whole(1, 7), conv.s = draw.chance(.6) ? conv.r : draw.whole(1, 8);
        conv.stride_h = draw.chance(.6) ? 1 : draw.whole(1, 4),
        conv.stride_w = draw.chance(.7) ? conv.stride_h : draw.whole(1, 4);
        conv.pad_h = draw.whole(0, (conv.r + 1) / 2 + (draw.chance(.1) ? 3 : 0));
        conv.pad_w = draw.chance(.7) ? conv.pad_h : draw.whole(0, conv.s);
        conv.dilation_h = draw.chance(.8) ? 1 : draw.whole(1, 3), conv.dilation_w = draw.chance(.8) ? 1 : draw.whole(1, 3);
        if (fused && draw.chance(.5)) conv.c = draw.whole(1, 4), conv.r = conv.s = 3;  // a stem
        if (!fused && draw.chance(.2)) with_groups(draw, conv);
        if (draw.chance(.08) && conv.groups == 1) deep(draw, conv);
        const int64_t least = fused ? 1 : 0;
        if (conv.height() / conv.stride_h < least || conv.width() / conv.stride_w < least) continue;
    } while (conv.height() < 0 || conv.width() < 0 ||
             (fused && (conv.height() < conv.stride_h || conv.width() < conv.stride_w)) || conv.multiplies() > 500000);
    return conv;
}

std::string convolution_line(Draw& draw, const std::string& op) {
    const bool fused = op != "conv2d";
    const Convolution conv = convolution(draw, fused);
    Line line(op);
    line.size("n", conv.n).size("c", conv.c).size("h", conv.h).size("w", conv.w).size("k", conv.k);
    line.size("r", conv.r).size("s", conv.s).size("stride_h", conv.stride_h).size("stride_w", conv.stride_w);
    line.size("pad_h", conv.pad_h).size("pad_w", conv.pad_w);
    line.size("dilation_h", conv.dilation_h).size("dilation_w", conv.dilation_w);
    if (conv.groups > 1) line.size("groups", conv.groups);
    line.word("nobias", draw.chance(.3)).word("relu", draw.chance(.4)).word("bf16", !fused && draw.chance(.3));
    if (op == "conv2d_pool") {
        line.word("noindex", draw.chance(.15));
        dropout_behind(draw, line);
    }
    return line.text();
}

std::string linear_line(Draw& draw) {
    int64_t n, f, k;
    do {
        n = draw.whole(1, draw.chance(.2) ? 70 : 12), f = draw.whole(1, draw.chance(.3) ? 1500 : 150);
        k = draw.whole(1, draw.chance(.2) ? 300 : 60);
    } while (n * f * k > 500000);
    return Line("linear")
        .size("n", n)
        .size("f", f)
        .size("k", k)
        .word("relu", draw.chance(.3))
        .word("nobias", draw.chance(.3))
        .word("bf16", draw.chance(.4))
        .text();
}

std::string batchnorm_line(Draw& draw) {
    Line line("batchnorm");
    image(draw, line, 60000);
    line.word("relu", draw.chance(.5)).word("relu_input", draw.chance(.3));
    if (draw.chance(.5)) line.real("momentum", static_cast<double>(draw.whole(0, 100)) / 100);
    return line.text();
}

std::string batchnorm_pool_line(Draw& draw) {
    Line line("batchnorm_pool");
    const int64_t window = draw.chance(.7) ? 2 : draw.whole(1, 4);
    image(draw, line, 60000, window);
    line.size("r", window).word("relu", draw.chance(.6)).word("relu_input", draw.chance(.3));
    line.word("noindex", draw.chance(.15));
    dropout_behind(draw, line);
    return line.text();
}

// Strides smaller than, equal to and larger than the window, and paddings up to half of it.
std::string pool_line(Draw& draw, const std::string& op) {
    int64_t n, c, h, w, r, s, stride_h, stride_w, pad_h, pad_w;
    do {
        n = draw.whole(1, 5), c = channels(draw), h = draw.whole(1, 30), w = draw.whole(1, 60);
        r = draw.whole(1, 5), s = draw.chance(.6) ? r : draw.whole(1, 6);
        stride_h = draw.chance(.5) ? r : draw.whole(1, 6), stride_w = draw.chance(.5) ? s : draw.whole(1, 6);
        pad_h = draw.whole(0, r / 2), pad_w = draw.whole(0, s / 2);
        if (draw.chance(.3)) r = s = stride_h = stride_w = 2, pad_h = pad_w = 0;
    } while (n * c * h * w > 40000 || h + 2 * pad_h < r || w + 2 * pad_w < s);
    Line line(op);
    line.size("n", n).size("c", c).size("h", h).size("w", w).size("r", r).size("s", s);
    line.size("stride_h", stride_h).size("stride_w", stride_w).size("pad_h", pad_h).size("pad_w", pad_w);
    if (op == "avg_pool2d") return line.word("exclude_pad", draw.chance(.4)).text();
    line.word("relu", draw.chance(.4)).word("noindex", draw.chance(.15));
    if (stride_h == r && stride_w == s && pad_h == 0 && pad_w == 0) dropout_behind(draw, line);
    return line.text();
}

std::string elementwise_line(Draw& draw, const std::string& op) {
    Line line(op);
    if (draw.chance(.3))
        line.size("n", draw.whole(1, 9)).size("f", draw.whole(1, 3000));
    else
        image(draw, line, 40000);
    if (op == "add") line.word("relu", draw.chance(.5));
    if (op == "dropout") line.real("p", static_cast<double>(draw.whole(0, 99)) / 100).word("per_channel", draw.chance(.3));
    return line.text();
}

std::string image_line(Draw& draw, const std::string& op) {
    Line line(op);
    image(draw, line, 40000);
    return line.text();
}

std::string loss_line(Draw& draw, const std::string& op) {
    Line line(op);
    line.size("n", draw.whole(1, 40)).size("k", draw.whole(1, draw.chance(.2) ? 600 : 40));
    if (op == "bce_with_logits") line.word("nopos", draw.chance(.4));
    return line.text();
}

std::string optimizer_line(Draw& draw, const std::string& op) {
    Line line(op);
    line.size("n", draw.whole(1, draw.chance(.3) ? 20000 : 100));
    line.real("weight_decay", static_cast<double>(draw.whole(0, 20)) / 100);
    line.real("update", static_cast<double>(draw.one_of<int64_t>({1, 2, 3, 20, 1000})));
    if (op == "adam") return line.word("decoupled", draw.chance(.4)).text();
    return line.real("momentum", static_cast<double>(draw.whole(0, 99)) / 100).word("nesterov", draw.chance(.4)).text();
}

}  // namespace

std::string random_problem_line(Draw& draw) {
    const std::string op = draw.one_of<const char*>({"conv2d",
                                                     "conv2d",
                                                     "conv2d",
                                                     "conv2d_statistics",
                                                     "conv2d_pool",
                                                     "linear",
                                                     "batchnorm",
                                                     "batchnorm",
                                                     "batchnorm_pool",
                                                     "batchnorm_pool",
                                                     "relu",
                                                     "add",
                                                     "reorder",
                                                     "flatten",
                                                     "max_pool2d",
                                                     "max_pool2d",
                                                     "max_pool2d",
                                                     "avg_pool2d",
                                                     "global_avg_pool",
                                                     "softmax_cross_entropy",
                                                     "bce_with_logits",
                                                     "dropout",
                                                     "adam",
                                                     "sgd"});
    if (op.starts_with("conv2d")) return convolution_line(draw, op);
    if (op == "linear") return linear_line(draw);
    if (op == "batchnorm") return batchnorm_line(draw);
    if (op == "batchnorm_pool") return batchnorm_pool_line(draw);
    if (op == "max_pool2d" || op == "avg_pool2d") return pool_line(draw, op);
    if (op == "relu" || op == "add" || op == "dropout") return elementwise_line(draw, op);
    if (op == "softmax_cross_entropy" || op == "bce_with_logits") return loss_line(draw, op);
    if (op == "adam" || op == "sgd") return optimizer_line(draw, op);
    return image_line(draw, op);
}

std::vector<int32_t> random_leaves(Draw& draw, int64_t images) {
    const int64_t leaves = draw.chance(.2) ? 1 : draw.whole(1, 17);
    std::vector<int32_t> begin{0};
    for (int64_t v = 1; v < leaves; ++v) begin.push_back(static_cast<int32_t>(draw.whole(0, images)));
    if (draw.chance(.5))
        for (int64_t v = 1; v < leaves; ++v) begin[static_cast<size_t>(v)] = static_cast<int32_t>(v * images / leaves);
    std::sort(begin.begin(), begin.end());
    begin.push_back(static_cast<int32_t>(images));
    return begin;
}

}  // namespace xbench::test
