// The random models.
#include "random_graphs.h"

#include <vector>

#include "core/error.h"

namespace xbench::test {
namespace {

class Maker {
public:
    explicit Maker(Draw& draw) : draw_(draw), builder_("random") {}

    RandomGraph make() {
        const int64_t channels = draw_.chance(.5) ? draw_.whole(1, 4) : draw_.whole(5, 20), h = draw_.whole(6, 20);
        const int64_t w = draw_.chance(.6) ? h : draw_.whole(6, 20);
        unit();
        x_ = builder_.input(channels, h, w);
        says("input {}x{}x{}", channels, h, w);
        if (draw_.chance(.25)) normalised_input();
        for (int64_t layers = draw_.whole(2, 8); layers > 0; --layers) {
            if (draw_.chance(.4)) unit();
            layer();
        }
        return finish();
    }

private:
    template <class... Values>
    void says(fmt::format_string<Values...> format, Values&&... values) {
        text_ += (text_.empty() ? "" : " ") + fmt::format(format, std::forward<Values>(values)...);
    }
    std::string name() { return fmt::format("f.{}", names_++); }
    void unit() {
        builder_.begin_unit(fmt::format("u{}", units_++));
        if (!text_.empty()) says("|");
    }
    bool fits(int64_t window, int64_t pad, int64_t dilation = 1) const {
        const Shape& s = builder_.shape(x_);
        const int64_t extent = dilation * (window - 1) + 1 - 2 * pad;
        return s[2] >= extent && s[3] >= extent;
    }

    void layer() {
        switch (draw_.whole(0, 11)) {
            case 0:
            case 1:
            case 2: convolution(); return;
            case 3: batchnorm(); return;
            case 4: relu(); return;
            case 5:
            case 6: pooling(); return;
            case 7: dropout(); return;
            case 8: kept_.push_back(x_), says("<keep>"); return;
            case 9: add_kept(); return;
            default: residual(); return;
        }
    }

    // A model that normalises its images itself, and pools at once.
    void normalised_input() {
        batchnorm();
        if (draw_.chance(.4)) relu();
        if (draw_.chance(.7)) x_ = builder_.max_pool2d(x_, name()), says("max(r2,s2,p0)");
        if (draw_.chance(.2)) dropout();
        convolution();
    }
    void convolution() {
        ConvOptions o;
        o.kernel = draw_.chance(.6) ? 3 : whole(1, 5), o.stride = draw_.chance(.7) ? 1 : whole(1, 3);
        o.pad = whole(0, o.kernel / 2 + (draw_.chance(.1) ? 2 : 0)), o.dilation = draw_.chance(.85) ? 1 : 2;
        o.bias = draw_.chance(.7);
        int64_t filters = draw_.chance(.5) ? draw_.whole(1, 40) : 8 * draw_.whole(1, 6);
        const int64_t channels = builder_.shape(x_)[1];
        if (draw_.chance(.15))
            o.groups = static_cast<int>(channels), filters = channels * draw_.one_of<int64_t>({1, 1, 1, 2});
        if (!fits(o.kernel, o.pad, o.dilation)) return;
        x_ = builder_.conv2d(x_, name(), filters, o);
        says("conv(k{},r{},s{},p{},d{},g{}{})", filters, o.kernel, o.stride, o.pad, o.dilation, o.groups,
             o.bias ? "" : ",nobias");
        if (draw_.chance(.3)) batchnorm();
        if (draw_.chance(.5)) relu();
    }
    // Two in a row: the gradient of the first is nothing but rounding errors.
    void batchnorm() {
        if (normalised_ == x_) return;
        x_ = builder_.batchnorm(x_, name(), {draw_.chance(.7) ? 1e-5f : 1e-2f, draw_.chance(.7) ? 0.1f : 0.7f});
        normalised_ = x_;
        says("bn");
    }
    void relu() { x_ = builder_.relu(x_, name()), says("relu"); }
    void pooling() {
        PoolOptions o;
        o.kernel = draw_.chance(.7) ? 2 : whole(1, 4), o.stride = draw_.chance(.75) ? 0 : whole(1, 4);
        if (draw_.chance(.25)) o.pad = whole(0, o.kernel / 2);
        if (!fits(o.kernel, o.pad)) return;
        const bool average = draw_.chance(.25);
        o.count_include_pad = draw_.chance(.5);
        x_ = average ? builder_.avg_pool2d(x_, name(), o) : builder_.max_pool2d(x_, name(), o);
        says("{}(r{},s{},p{})", average ? "avg" : "max", o.kernel, o.stride, o.pad);
        if (draw_.chance(.3)) dropout();
    }
    void dropout() {
        const bool channels = draw_.chance(.4);
        x_ = builder_.dropout(x_, name(), static_cast<float>(draw_.whole(0, 80)) / 100, channels);
        says("{}", channels ? "drop2d" : "drop");
    }
    void add_kept() {
        for (const ValueId kept : kept_) {
            if (kept == x_ || !(builder_.shape(kept) == builder_.shape(x_))) continue;
            x_ = draw_.chance(.5) ? builder_.add(x_, kept, name()) : builder_.add(kept, x_, name());
            says("add");
            if (draw_.chance(.5)) relu();
            return;
        }
    }
    // One or two branches from here, added to it.
    void residual() {
        const ValueId from = x_;
        const int64_t channels = builder_.shape(x_)[1];
        for (int64_t branches = draw_.whole(1, 2); branches > 0; --branches) {
            const ValueId sum = x_;
            x_ = from;
            x_ = builder_.conv2d(x_, name(), channels, {.kernel = 3, .pad = 1});
            says("[conv");
            if (draw_.chance(.6)) batchnorm();
            if (draw_.chance(.4)) relu();
            x_ = builder_.add(sum, x_, name());
            says("add]");
        }
        if (draw_.chance(.6)) relu();
    }

    RandomGraph finish() {
        if (draw_.chance(.4)) unit();
        const bool average = draw_.chance(.4);
        x_ = average ? builder_.global_avg_pool(x_, name()) : builder_.flatten(x_, name());
        says("{}", average ? "gap" : "flatten");
        if (draw_.chance(.5)) {
            x_ = builder_.linear(x_, name(), draw_.whole(1, 70), draw_.chance(.7));
            says("linear({})", builder_.shape(x_)[1]);
            if (draw_.chance(.7)) relu();
            if (draw_.chance(.5)) dropout_of_row();
        }
        const int64_t classes = draw_.whole(1, 12);
        const bool several = classes == 1 || draw_.chance(.4);
        x_ = builder_.linear(x_, name(), classes, draw_.chance(.8));
        says("linear({}) {}", classes, several ? "bce" : "ce");
        return {builder_.finish(x_, several ? LossKind::bce_with_logits : LossKind::softmax_cross_entropy), text_};
    }
    void dropout_of_row() { x_ = builder_.dropout(x_, name(), 0.4f), says("drop"); }

    int whole(int low, int high) { return static_cast<int>(draw_.whole(low, high)); }

    Draw& draw_;
    GraphBuilder builder_;
    std::string text_;
    ValueId x_ = no_value, normalised_ = no_value;
    std::vector<ValueId> kept_;
    int names_ = 0, units_ = 0;
};

}  // namespace

RandomGraph random_graph(Draw& draw) { return Maker(draw).make(); }

}  // namespace xbench::test
