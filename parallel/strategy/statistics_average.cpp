// Which statistics are averaged, and how.
#include "parallel/strategy/statistics_average.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "parallel/strategy/whole_lines.h"

namespace xbench {
namespace {

// Whether training moves this statistic: that of a frozen normalisation it only reads.
bool moves(const Graph& graph, ValueId id) {
    if (graph.value(id).role != Role::buffer) return false;
    const auto names = [id](const auto& values) { return std::find(values.begin(), values.end(), id) != values.end(); };
    return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
        if (node.op == OpKind::batchnorm) return !std::get<BatchNorm>(node.attrs).frozen && names(node.in);
        return node.op == OpKind::batchnorm_finalize && names(node.out);
    });
}

std::vector<FlatRange> moving_statistics(const Graph& graph, const FlatParameters& flat) {
    std::vector<FlatRange> moving;
    for (const FlatRange& range : flat.state)
        if (moves(graph, range.value)) moving.push_back(range);
    return moving;
}

// Ranges that follow each other without another between them are one.
std::vector<FlatSpan> neighbours(const std::vector<FlatRange>& ranges) {
    std::vector<FlatSpan> spans;
    for (const FlatRange& range : ranges) {
        const bool follows =
            !spans.empty() && in_whole_lines(static_cast<size_t>(spans.back().end)) == static_cast<size_t>(range.begin);
        if (!follows) spans.push_back({range.begin, range.begin});
        spans.back().end = range.begin + range.count;
    }
    return spans;
}

size_t elements_of(const std::vector<FlatSpan>& spans) {
    size_t elements = 0;
    for (const FlatSpan& span : spans) elements += in_whole_lines(static_cast<size_t>(span.end - span.begin));
    return elements;
}

}  // namespace

uint32_t updates_to_settle(const Graph& graph) {
    double updates = 0;
    for (const Node& node : graph.nodes) {
        if (node.op != OpKind::batchnorm || std::get<BatchNorm>(node.attrs).frozen) continue;
        const auto kept = 1 - static_cast<double>(std::get<BatchNorm>(node.attrs).momentum);
        if (kept < 1) updates = std::max(updates, kept > 0 ? std::ceil(std::log(1e-3) / std::log(kept)) : 1.0);
    }
    return static_cast<uint32_t>(std::min(updates, 1e9));
}

bool averages_statistics(const TrainConfig& config) { return config.ema_decay > 0 && config.ema_statistics == "averaged"; }

size_t averaged_statistics(const TrainConfig& config, const Graph& graph, const FlatParameters& flat) {
    return averages_statistics(config) ? elements_of(neighbours(moving_statistics(graph, flat))) : 0;
}

StatisticsAverage::StatisticsAverage(const ModelState& state, const KernelArgs& weights, bool fresh, MemoryLedger* ledger)
    : state_(state),
      ranges_(moving_statistics(state.graph, state.flat)),
      copied_updates_(fresh ? updates_to_settle(state.graph) : 0) {
    const std::vector<FlatSpan> spans = neighbours(ranges_);
    if (spans.empty()) return;
    average_ = state.device.allocate(elements_of(spans) * sizeof(float), ledger, MemoryCategory::optimizer);
    auto* average = average_.as<float>();
    for (const FlatSpan& span : spans) {
        const int64_t count = span.end - span.begin;
        Piece piece{state.state.as<float>() + span.begin, average, static_cast<size_t>(count), weights};
        piece.call.in[0] = kernel_tensor({count}, DType::f32, Layout::plain, piece.statistics);
        piece.call.out[0] = kernel_tensor({count}, DType::f32, Layout::plain, piece.average);
        pieces_.push_back(piece);
        average += in_whole_lines(piece.count);
    }
    kernel_ = &select(pieces_.front().call, state.device.target());
}

void StatisticsAverage::run(const Team& team) const noexcept {
    for (const Piece& piece : pieces_) state_.device.launch(*kernel_, piece.call, team);
}

void StatisticsAverage::start() {
    for (const Piece& piece : pieces_) state_.device.copy(piece.average, piece.statistics, piece.count * sizeof(float));
}

void StatisticsAverage::end_update(uint32_t update) {
    if (update <= copied_updates_) start();
}

void StatisticsAverage::swap(const DeviceSwap& swap) {
    for (const Piece& piece : pieces_) swap(piece.statistics, piece.average, piece.count);
}

float* StatisticsAverage::average_of(const FlatRange& range) const {
    const float* const statistic = state_.state.as<float>() + range.begin;
    for (const Piece& piece : pieces_)
        if (statistic >= piece.statistics && statistic < piece.statistics + piece.count)
            return piece.average + (statistic - piece.statistics);
    return nullptr;
}

void StatisticsAverage::save(const std::string& name, std::vector<NamedTensor>& tensors) const {
    for (const FlatRange& range : ranges_) {
        const Value& value = state_.graph.value(range.value);
        tensors.push_back({name + "." + value.name, value.shape, std::vector<float>(static_cast<size_t>(range.count))});
        state_.device.copy(tensors.back().data.data(), average_of(range), tensors.back().data.size() * sizeof(float));
    }
    state_.device.wait();
}

void StatisticsAverage::load(const std::string& name, const std::vector<NamedTensor>& tensors, const std::string& origin) {
    std::string wrong;
    for (const FlatRange& range : ranges_) {
        const Value& value = state_.graph.value(range.value);
        const std::string wanted = name + "." + value.name;
        const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == wanted; });
        if (found == tensors.end() || !(found->shape == value.shape))
            wrong += "\n  " + wanted + " " + to_string(value.shape);
        else
            state_.device.copy(average_of(range), found->data.data(), found->data.size() * sizeof(float));
    }
    if (!wrong.empty()) throw Error("these averages of running statistics are missing or of another shape:" + wrong, origin);
}

}  // namespace xbench
