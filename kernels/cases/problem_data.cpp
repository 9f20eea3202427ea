// Filling operands: random numbers, except where the operator's row (OpTesting::fill) says what they have to be.
#include "kernels/cases/problem_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/rng.h"
#include "core/tensor.h"
#include "kernels/cases/calls.h"

namespace xbench {
namespace {

constexpr size_t guard_words = 8;
constexpr uint64_t guard = 0xFFF7A5A5A5A5A5A5u;  // a NaN as f64, NaNs as two f32: reading past the end shows too

Shape shape_of(const KernelTensor& t) {
    Shape shape;
    shape.rank = t.rank;
    std::copy_n(t.dim, t.rank, shape.dim.begin());
    return shape;
}

int64_t stored_elements_of(const KernelTensor& t) { return t.rank ? stored_elements(shape_of(t), t.layout) : 0; }

int64_t stored_index(const KernelTensor& t, int64_t index) {
    return t.layout == Layout::plain ? index : xbench::stored_index(shape_of(t), t.layout, index);
}

double stored_element(const KernelTensor& t, int64_t i) {
    switch (t.dtype) {
        case DType::f32: return static_cast<double>(static_cast<const float*>(t.data)[i]);
        case DType::f64: return static_cast<const double*>(t.data)[i];
        case DType::i32: return static_cast<const int32_t*>(t.data)[i];
        case DType::i64: return static_cast<double>(static_cast<const int64_t*>(t.data)[i]);
        case DType::u8: return static_cast<const uint8_t*>(t.data)[i];
        case DType::bf16:
        case DType::f16:
        case DType::tf32: break;
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
        case DType::bf16:
        case DType::f16:
        case DType::tf32: break;
    }
}

bool updates_in_place(OpKind op) {
    const std::vector<Operand>& out = operands_of(op).out;
    return std::any_of(out.begin(), out.end(), [](const Operand& operand) { return operand.in_place; });
}

}  // namespace

int64_t stored_bytes_of(const KernelTensor& tensor) {
    return stored_elements_of(tensor) * static_cast<int64_t>(size_of(tensor.dtype));
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

float folded_dropout(const LayerProblem& problem) { return folded_dropout(problem.op, plain(problem.attrs)); }

bool is_exact(const LayerProblem& problem) {
    return testing_of(problem.op).exact && folded_dropout(problem) == 0;  // 1 / (1 - p) is not
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
    step_.loss_scale = problem_.loss_scale > 0 ? &problem_.loss_scale : nullptr;
    if (step_.global_batch == 0) {
        step_.seed = 12345, step_.step = 3, step_.learning_rate = 0.01f;
        step_.global_batch = images, step_.inverse_batch = 1.0 / static_cast<double>(images);
    }
    args_.step = &step_;
    for (size_t i = 0; i < in_.size(); ++i) args_.in[i].data = in_[i].words.data();
    for (size_t i = 0; i < out_.size(); ++i) args_.out[i].data = out_[i].words.data();
    const Operands& names = operands_of(problem_.op);
    for (size_t i = 0; i < out_.size(); ++i)
        for (size_t k = 0; k < in_.size(); ++k)
            if (names.out[i].name == names.in[k].name) args_.out[i].data = args_.in[k].data;
}

void ProblemData::fill(DataKind kind, uint64_t seed) {
    for (size_t i = 0; i < in_.size(); ++i) {
        Random random(seed, RandomUse::test_data, static_cast<uint32_t>(i));
        transform(args_.in[i], [&](double) {
            return kind == DataKind::exact ? static_cast<double>(random.below(7)) - 3
                                           : static_cast<double>(random.uniform(-1, 1));
        });
    }
    Random random(seed, RandomUse::test_data, 50);
    if (const auto fill_operands = testing_of(problem_.op).fill) fill_operands(Fill{args_, seed, random});
    if (updates_in_place(problem_.op)) initial_ = out_;
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
    const Magnitudes magnitudes = testing_of(problem_.op).magnitudes;
    if (magnitudes.inputs) magnitudes.inputs(twin.args_);
    return twin;
}

std::vector<std::span<std::byte>> ProblemData::memory(bool with_guards) {
    std::vector<std::span<std::byte>> all;
    for (auto* operands : {&in_, &out_})
        for (Operand& operand : *operands)
            all.emplace_back(reinterpret_cast<std::byte*>(operand.words.data()),
                             with_guards ? operand.words.size() * sizeof(uint64_t) : operand.bytes);
    return all;
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
