// Filling operands. Every operator's inputs are random except where fill_special says what they have to be.
#include "kernels/cases/problem_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/rng.h"
#include "core/tensor.h"
#include "kernels/registry.h"
#include "kernels/run.h"

namespace xbench {
namespace {

constexpr size_t guard_words = 8;
constexpr uint64_t guard = 0xFFF7A5A5A5A5A5A5u;  // a NaN as f64, NaNs as two f32: reading past the end shows too

int64_t stored_elements_of(const KernelTensor& t) {
    int64_t count = elements_of(t);
    if (t.layout == Layout::nchw16c) count = count / t.dim[1] * ((t.dim[1] + 15) / 16 * 16);
    return count;
}

int64_t stored_index(const KernelTensor& t, int64_t index) {
    if (t.layout != Layout::nchw16c) return index;
    const int64_t pixels = t.dim[2] * t.dim[3], pixel = index % pixels, c = index / pixels % t.dim[1];
    const int64_t n = index / pixels / t.dim[1], blocks = (t.dim[1] + 15) / 16;
    return ((n * blocks + c / 16) * pixels + pixel) * 16 + c % 16;
}

double stored_element(const KernelTensor& t, int64_t i) {
    switch (t.dtype) {
        case DType::f32: return static_cast<double>(static_cast<const float*>(t.data)[i]);
        case DType::f64: return static_cast<const double*>(t.data)[i];
        case DType::i32: return static_cast<const int32_t*>(t.data)[i];
        case DType::i64: return static_cast<double>(static_cast<const int64_t*>(t.data)[i]);
        case DType::u8: return static_cast<const uint8_t*>(t.data)[i];
        case DType::bf16: break;
    }
    return NAN;
}

void set_stored_element(const KernelTensor& t, int64_t i, double value) {
    switch (t.dtype) {
        case DType::f32: static_cast<float*>(t.data)[i] = static_cast<float>(value); break;
        case DType::f64: static_cast<double*>(t.data)[i] = value; break;
        case DType::i32: static_cast<int32_t*>(t.data)[i] = static_cast<int32_t>(value); break;
        case DType::i64: static_cast<int64_t*>(t.data)[i] = static_cast<int64_t>(value); break;
        case DType::u8: static_cast<uint8_t*>(t.data)[i] = static_cast<uint8_t>(value); break;
        case DType::bf16: break;
    }
}

template <class F>
void transform(const KernelTensor& t, F&& f) {
    for (int64_t i = 0; i < elements_of(t); ++i) set_element(t, i, f(element(t, i)));
}

// The channel of an element of {n,c,h,w} or {n,c}.
int64_t channel_of(const KernelTensor& t, int64_t index) {
    const int64_t pixels = t.rank == 4 ? t.dim[2] * t.dim[3] : 1;
    return index / pixels % t.dim[1];
}

// mean_rstd or sums {2,c}: the second row is made of another function of the random number.
template <class F>
void fill_second_row(const KernelTensor& t, F&& f) {
    const int64_t channels = t.dim[1];
    for (int64_t c = 0; c < channels; ++c) set_element(t, channels + c, f(element(t, channels + c), element(t, c)));
}

// Valid positions in windows: those that the reference's max-pooling of a random image finds.
void fill_pool_index(KernelTensor x, KernelTensor y, const KernelTensor& index, const Pool2d& pool, const StepContext* step,
                     uint64_t seed) {
    std::vector<float> image(static_cast<size_t>(stored_elements_of(x))), pooled(static_cast<size_t>(stored_elements_of(y)));
    Random random(seed, RandomUse::test_data, 99);
    for (float& value : image) value = random.uniform();
    x.data = image.data();
    y.data = pooled.data();
    x.dtype = y.dtype = DType::f32;
    KernelArgs forward{};
    forward.op = OpKind::max_pool2d;
    forward.attrs = &pool;
    forward.step = step;
    forward.n_in = 1, forward.n_out = 2;
    forward.in[0] = x, forward.out[0] = y, forward.out[1] = index;
    run_kernel(reference(OpKind::max_pool2d), forward, 1);
}

// Inputs that cannot be just any number.
void fill_special(const KernelArgs& args, uint64_t seed) {
    Random random(seed, RandomUse::test_data, 50);
    const auto positive_part = [](const KernelTensor& t) { transform(t, [](double v) { return std::max(v, 0.0); }); };
    const auto positive = [](double v, double) { return 0.5 + std::fabs(v); };
    const auto close_windows = [&](const KernelTensor& index, double other = -1) {  // every third; -1: others stay
        transform(index, [&](double v) { return random.below(3) == 0 ? double{closed_window} : other < 0 ? v : other; });
    };
    const double count = static_cast<double>(args.step->global_batch);
    switch (args.op) {
        case OpKind::relu_grad: positive_part(args.in[1]); break;
        case OpKind::batchnorm_apply:
        case OpKind::batchnorm_pool_apply: fill_second_row(args.in[1], positive); break;
        case OpKind::batchnorm_grad_statistics:
            fill_second_row(args.in[2], positive);
            if (args.n_in > 3) positive_part(args.in[3]);
            break;
        case OpKind::batchnorm_pool_grad_statistics:
            if (args.n_in > 2) close_windows(args.in[2], 0.0);
            break;
        case OpKind::batchnorm_grad_input:
        case OpKind::batchnorm_pool_grad_input: {
            const bool pool = args.op == OpKind::batchnorm_pool_grad_input;  // which has an index as operand 2
            const auto& norm =
                pool ? static_cast<const BatchNormPool*>(args.attrs)->norm : *static_cast<const BatchNorm*>(args.attrs);
            fill_second_row(args.in[2 + pool], positive);
            transform(args.in[4 + pool], [&](double v) { return v * count * static_cast<double>(norm.pixels); });
            if (!pool && args.n_in > 5) positive_part(args.in[5]);
            if (norm.input_activation == Activation::relu) positive_part(args.in[0]);
            if (!pool) break;
            const auto& a = *static_cast<const BatchNormPool*>(args.attrs);
            fill_pool_index(args.in[0], args.in[1], args.in[2], Pool2d{a.r, a.s, a.r, a.s, 0, 0, 1}, args.step, seed);
            if (norm.activation == Activation::relu || a.dropout.p > 0) close_windows(args.in[2]);
            break;
        }
        case OpKind::conv2d_pool_wgrad:
            close_windows(args.in[2], 0.0);
            transform(args.in[2], [&](double v) { return v > 0 ? v : random.below(4); });
            break;
        case OpKind::conv2d_batchnorm_pool_wgrad: {
            const auto& norm = static_cast<const Conv2dBatchNormPool*>(args.attrs)->pool.norm;
            close_windows(args.in[3], 0.0);
            transform(args.in[3], [&](double v) { return v > 0 ? v : random.below(4); });
            fill_second_row(args.in[4], positive);
            transform(args.in[6], [&](double v) { return v * count * static_cast<double>(norm.pixels); });
            break;
        }
        case OpKind::batchnorm_finalize: {
            const double pixels = count * static_cast<double>(static_cast<const BatchNorm*>(args.attrs)->pixels);
            fill_second_row(args.in[0], [&](double v, double sum) { return pixels * (sum * sum + 0.1 + std::fabs(v)); });
            for (int64_t c = 0; c < args.in[0].dim[1]; ++c) set_element(args.in[0], c, element(args.in[0], c) * pixels);
            transform(args.in[2], [](double v) { return 0.5 + std::fabs(v); });
            break;
        }
        case OpKind::batchnorm_inference: transform(args.in[1], [](double v) { return 0.5 + std::fabs(v); }); break;
        case OpKind::max_pool2d_grad:
            fill_pool_index(args.out[0], args.in[0], args.in[1], *static_cast<const Pool2d*>(args.attrs), args.step, seed);
            if (args.n_in > 2) positive_part(args.in[2]);
            break;
        case OpKind::softmax_cross_entropy:
        case OpKind::softmax_cross_entropy_grad: {
            const auto classes = static_cast<uint32_t>(args.in[0].dim[1]);
            transform(args.in[1], [&](double) { return random.below(classes); });
            if (args.op == OpKind::softmax_cross_entropy_grad)
                transform(args.in[0], [](double v) { return (v + 1) / 2; });
            else
                transform(args.in[0], [](double v) { return 4 * v; });
            break;
        }
        case OpKind::bce_with_logits:
        case OpKind::bce_with_logits_grad:
            transform(args.in[1], [&](double) { return random.below(4) == 0 ? 1 : random.below(2) * 0.25; });
            if (args.n_in > 2) transform(args.in[2], [](double v) { return 1.5 + v; });
            if (args.op == OpKind::bce_with_logits_grad)
                transform(args.in[0], [](double v) { return (v + 1) / 2; });
            else
                transform(args.in[0], [](double v) { return 6 * v; });
            break;
        default: break;
    }
}

bool is_optimizer(OpKind op) { return op == OpKind::adam || op == OpKind::sgd; }

// In batch normalisation x - mean is where cancellation happens: |x - mean|, or |x| + |mean| where an implementation may
// multiply before it subtracts.
void batchnorm_magnitudes(const KernelArgs& args) {
    const auto magnitude = [](const KernelTensor& t) { transform(t, [](double v) { return std::fabs(v); }); };
    const auto negate = [](const KernelTensor& t) { transform(t, [](double v) { return -std::fabs(v); }); };
    const auto distance = [](const KernelTensor& x, const KernelTensor& mean) {
        for (int64_t i = 0; i < elements_of(x); ++i)
            set_element(x, i, std::fabs(element(x, i) - element(mean, channel_of(x, i))));
        for (int64_t c = 0; c < x.dim[1]; ++c) set_element(mean, c, 0);
    };
    const auto negate_mean = [](const KernelTensor& t) {
        for (int64_t c = 0; c < t.dim[1]; ++c) set_element(t, c, -std::fabs(element(t, c)));
    };
    switch (args.op) {
        case OpKind::batchnorm_statistics: distance(args.in[0], args.in[1]); break;
        case OpKind::batchnorm_grad_statistics:
            distance(args.in[0], args.in[2]);
            magnitude(args.in[1]);
            break;
        case OpKind::batchnorm_apply:
            magnitude(args.in[0]), magnitude(args.in[2]), magnitude(args.in[3]);
            negate_mean(args.in[1]);
            break;
        case OpKind::batchnorm_grad_input:
            magnitude(args.in[0]), magnitude(args.in[1]), magnitude(args.in[3]);
            negate_mean(args.in[2]);
            negate(args.in[4]);
            break;
        case OpKind::batchnorm_pool_apply:
            magnitude(args.in[0]), magnitude(args.in[2]), magnitude(args.in[3]);
            negate_mean(args.in[1]);
            break;
        case OpKind::batchnorm_pool_grad_statistics: magnitude(args.in[0]), magnitude(args.in[1]); break;
        case OpKind::batchnorm_pool_grad_input:
            magnitude(args.in[0]), magnitude(args.in[1]), magnitude(args.in[4]);
            negate_mean(args.in[3]);
            negate(args.in[5]);
            break;
        case OpKind::conv2d_batchnorm_pool_wgrad:
            for (const int i : {0, 1, 2, 5}) magnitude(args.in[i]);
            negate_mean(args.in[4]);
            negate(args.in[6]);
            break;
        default: break;  // the rest works on channels, without cancellation that matters
    }
}

}  // namespace

int64_t stored_bytes_of(const KernelTensor& tensor) {
    if (tensor.rank == 0) return 0;
    Shape shape;
    shape.rank = tensor.rank;
    for (int axis = 0; axis < tensor.rank; ++axis) shape[axis] = tensor.dim[axis];
    return static_cast<int64_t>(stored_bytes(shape, tensor.dtype, tensor.layout));
}

int64_t elements_of(const KernelTensor& t) {
    int64_t count = t.rank ? 1 : 0;
    for (int axis = 0; axis < t.rank; ++axis) count *= t.dim[axis];
    return count;
}

double element(const KernelTensor& t, int64_t index) { return stored_element(t, stored_index(t, index)); }

void set_element(const KernelTensor& t, int64_t index, double value) {
    set_stored_element(t, stored_index(t, index), value);
}

bool padding_is_zero(const KernelTensor& t) {
    if (t.layout != Layout::nchw16c) return true;
    const int64_t blocks = (t.dim[1] + 15) / 16, pixels = t.dim[2] * t.dim[3];
    for (int64_t n = 0; n < t.dim[0]; ++n)
        for (int64_t pixel = 0; pixel < pixels; ++pixel)
            for (int64_t c = t.dim[1]; c < blocks * 16; ++c)
                if (stored_element(t, ((n * blocks + c / 16) * pixels + pixel) * 16 + c % 16) != 0) return false;
    return true;
}

float folded_dropout(const LayerProblem& problem) {
    if (const auto* pool = std::get_if<Pool2d>(&problem.attrs)) return pool->dropout.p;
    if (const auto* pool = std::get_if<Conv2dPool>(&problem.attrs)) return pool->dropout.p;
    return 0;
}

bool is_exact(const LayerProblem& problem) {
    if (folded_dropout(problem) > 0) return false;  // 1 / (1 - p) is not
    switch (problem.op) {
        case OpKind::conv2d:
        case OpKind::conv2d_dgrad:
        case OpKind::conv2d_wgrad:
        case OpKind::conv2d_pool:
        case OpKind::conv2d_pool_wgrad:
        case OpKind::linear:
        case OpKind::linear_dgrad:
        case OpKind::linear_wgrad:
        case OpKind::batchnorm_statistics:
        case OpKind::max_pool2d:
        case OpKind::max_pool2d_grad:
        case OpKind::relu:
        case OpKind::relu_grad:
        case OpKind::add:
        case OpKind::accumulate:
        case OpKind::reorder:
        case OpKind::flatten: return true;
        default: return false;
    }
}

ProblemData::ProblemData(const LayerProblem& problem, DataKind kind, uint64_t seed) : problem_(problem) {
    allocate();
    fill(kind, seed);
    reset_outputs();
}

ProblemData::ProblemData(const ProblemData& other)
    : problem_(other.problem_),
      in_(other.in_),
      out_(other.out_),
      initial_(other.initial_),
      sample_ids_(other.sample_ids_),
      step_(other.step_) {
    point();
}

void ProblemData::allocate() {
    const auto make = [](const KernelTensor& t) {
        Operand operand;
        operand.bytes = static_cast<size_t>(stored_elements_of(t)) * size_of(t.dtype);
        operand.words.assign((operand.bytes + 7) / 8 + guard_words, 0);
        auto* tail = reinterpret_cast<unsigned char*>(operand.words.data());
        for (size_t i = operand.bytes; i < operand.words.size() * 8; ++i)
            tail[i] = static_cast<unsigned char>(guard >> (8 * (i % 8)));
        return operand;
    };
    in_.clear(), out_.clear();
    for (const KernelTensor& t : problem_.in) in_.push_back(make(t));
    for (const KernelTensor& t : problem_.out) out_.push_back(make(t));
    point();
}

// Addresses and the step of this object's own copies.
void ProblemData::point() {
    static_cast<Problem&>(args_) = problem_.problem();
    const int64_t images = problem_.images();
    if (sample_ids_.empty())
        for (int64_t n = 0; n < images; ++n) sample_ids_.push_back(1000 + 37 * n % 1009);
    step_.leaf_begin = problem_.leaf_begin.data();
    step_.leaves = static_cast<int32_t>(problem_.leaf_begin.size()) - 1;
    step_.sample_ids = sample_ids_.data();
    step_.update = problem_.update;
    if (step_.global_batch == 0) {
        step_.seed = 12345, step_.step = 3, step_.learning_rate = 0.01f;
        step_.global_batch = images, step_.inverse_batch = 1.0 / static_cast<double>(images);
    }
    args_.step = &step_;
    for (size_t i = 0; i < in_.size(); ++i) args_.in[i].data = in_[i].words.data();
    for (size_t i = 0; i < out_.size(); ++i) args_.out[i].data = out_[i].words.data();
    if (problem_.op == OpKind::batchnorm_finalize)  // in place
        for (int i : {1, 2}) args_.out[i].data = args_.in[i].data;
}

void ProblemData::fill(DataKind kind, uint64_t seed) {
    for (size_t i = 0; i < in_.size(); ++i) {
        Random random(seed, RandomUse::test_data, static_cast<uint32_t>(i));
        transform(args_.in[i], [&](double) {
            return kind == DataKind::exact ? static_cast<double>(random.below(7)) - 3
                                           : static_cast<double>(random.uniform(-1, 1));
        });
    }
    fill_special(args_, seed);
    fill_state(kind, seed);
}

// What an optimizer updates: parameters and momenta of any sign, a second moment that is not negative.
void ProblemData::fill_state(DataKind, uint64_t seed) {
    if (!is_optimizer(problem_.op)) return;
    for (int i = 0; i < args_.n_out; ++i) {
        Random random(seed, RandomUse::test_data, static_cast<uint32_t>(10 + i));
        transform(args_.out[i], [&](double) {
            const double value = static_cast<double>(random.uniform(-1, 1));
            return i == 2 ? 0.01 + value * value : value;
        });
    }
    initial_ = out_;
}

void ProblemData::reset_outputs() {
    if (!initial_.empty()) {
        out_ = initial_;
        point();
        return;
    }
    for (Operand& operand : out_) std::memset(operand.words.data(), 0xFF, operand.bytes);
}

ProblemData ProblemData::in_double() const {
    ProblemData twin(*this);
    for (auto* tensors : {&twin.problem_.in, &twin.problem_.out})
        for (KernelTensor& t : *tensors)
            if (t.dtype == DType::f32) t.dtype = DType::f64;
    twin.allocate();
    const auto copy = [](const KernelTensor& from, const KernelTensor& to) {
        for (int64_t i = 0; i < stored_elements_of(from); ++i) set_stored_element(to, i, stored_element(from, i));
    };
    for (size_t i = 0; i < in_.size(); ++i) copy(args_.in[i], twin.args_.in[i]);
    if (initial_.empty()) {
        twin.reset_outputs();
        return twin;
    }
    for (size_t i = 0; i < out_.size(); ++i) copy(args_.out[i], twin.args_.out[i]);
    twin.initial_ = twin.out_;
    return twin;
}

ProblemData ProblemData::magnitudes() const {
    ProblemData twin = in_double();
    const KernelArgs& args = twin.args_;
    switch (args.op) {
        case OpKind::conv2d:
        case OpKind::conv2d_dgrad:
        case OpKind::conv2d_wgrad:
        case OpKind::conv2d_statistics:
        case OpKind::conv2d_pool:
        case OpKind::conv2d_pool_wgrad:
        case OpKind::linear:
        case OpKind::linear_dgrad:
        case OpKind::linear_wgrad:
        case OpKind::avg_pool2d:
        case OpKind::avg_pool2d_grad:
        case OpKind::global_avg_pool:
        case OpKind::max_pool2d_grad:
        case OpKind::add:
        case OpKind::accumulate:
            for (int i = 0; i < args.n_in; ++i)
                if (args.in[i].dtype == DType::f64) transform(args.in[i], [](double v) { return std::fabs(v); });
            if (args.op == OpKind::conv2d_statistics) transform(args.in[3], [](double v) { return -v; });
            break;
        default: batchnorm_magnitudes(args); break;
    }
    return twin;
}

bool ProblemData::guards_intact() const {
    const auto intact = [](const Operand& operand) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(operand.words.data());
        for (size_t i = operand.bytes; i < operand.words.size() * 8; ++i)
            if (bytes[i] != static_cast<unsigned char>(guard >> (8 * (i % 8)))) return false;
        return true;
    };
    return std::all_of(in_.begin(), in_.end(), intact) && std::all_of(out_.begin(), out_.end(), intact);
}

}  // namespace xbench
