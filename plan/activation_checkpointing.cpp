// Activation checkpointing by unit (Chen et al., "Training deep nets with sublinear memory cost", 2016): what a unit
// computes for itself alone is forgotten after the forward pass and computed again before the backward steps that read it.
// Kept are
//   - values that another unit reads: a unit's copy starts from them;
//   - statistics, so that a repeated batch normalisation has the first one's mean and rstd: it communicates nothing, and
//     leaves the running ones alone;
//   - everything of the last unit, whose backward steps follow at once;
//   - the graph's outputs, which live to the end anyway;
//   - what is smaller than the kept values that its copy would write along: the byte-wide index beside a pooled image.
// Runs behind the fusion, so that a copy has the kernel, layout and attributes of the step that it repeats: the same bits.
// Dropout repeats itself, its random numbers are a function of seed, step and image.
#include <algorithm>

#include "plan/passes.h"

namespace xbench {
namespace {

class ActivationCheckpointing {
public:
    explicit ActivationCheckpointing(Plan& plan) : plan_(plan), graph_(plan.graph) {}
    void run();

private:
    int unit_of(const Node& node) const { return graph_.value(node.out[0]).unit; }
    size_t count_forward_nodes() const;
    void find_kept(size_t forward);
    void keep_what_is_small(size_t forward);
    ValueId recomputed(ValueId id);
    ValueId new_value_like(ValueId id);

    Plan& plan_;
    Graph& graph_;
    std::vector<NodeId> producer_;  // of the forward pass, by value; -1: none
    std::vector<bool> kept_;
    std::vector<ValueId> again_;  // by value: what stands for it in the backward pass; no_value: not computed again yet
    std::vector<Node> nodes_;     // the new list
};

// The last loss is the last node of the forward pass.
size_t ActivationCheckpointing::count_forward_nodes() const {
    const auto loss = std::find_if(graph_.nodes.rbegin(), graph_.nodes.rend(),
                                   [&](const Node& node) { return graph_.is_loss(node.out[0]); });
    return static_cast<size_t>(graph_.nodes.rend() - loss);
}

void ActivationCheckpointing::find_kept(size_t forward) {
    producer_.assign(graph_.values.size(), -1);
    kept_.assign(graph_.values.size(), true);
    const int last_unit = unit_of(graph_.nodes[forward - 1]);
    for (size_t i = 0; i < forward; ++i) {
        const Node& node = graph_.nodes[i];
        for (const ValueId id : node.out) {
            producer_[static_cast<size_t>(id)] = static_cast<NodeId>(i);
            kept_[static_cast<size_t>(id)] = graph_.value(id).role != Role::activation || unit_of(node) == last_unit;
        }
    }
    for (const Output& output : graph_.outputs) kept_[static_cast<size_t>(output.value)] = true;
    for (size_t i = 0; i < forward; ++i)
        for (const ValueId id : graph_.nodes[i].in) {
            if (id == no_value || producer_[static_cast<size_t>(id)] < 0) continue;
            const Node& producer = graph_.node(producer_[static_cast<size_t>(id)]);
            if (unit_of(producer) != unit_of(graph_.nodes[i])) kept_[static_cast<size_t>(id)] = true;
        }
}

void ActivationCheckpointing::keep_what_is_small(size_t forward) {
    for (size_t i = 0; i < forward; ++i) {
        const Node& node = graph_.nodes[i];
        size_t kept = 0, forgotten = 0;
        for (const ValueId id : node.out) (kept_[static_cast<size_t>(id)] ? kept : forgotten) += plan_.value(id).bytes;
        for (const ValueId id : node.out)
            if (forgotten < kept) kept_[static_cast<size_t>(id)] = true;
    }
}

ValueId ActivationCheckpointing::new_value_like(ValueId id) {
    plan_.values.push_back(PlannedValue(plan_.value(id)));
    return graph_.add(graph_.value(id));
}

// The value itself where it is kept, else a copy of it, made by copies of the nodes that lead to it.
ValueId ActivationCheckpointing::recomputed(ValueId id) {
    if (id == no_value || kept_[static_cast<size_t>(id)]) return id;
    if (again_[static_cast<size_t>(id)] != no_value) return again_[static_cast<size_t>(id)];
    Node copy = graph_.node(producer_[static_cast<size_t>(id)]);
    copy.recomputed = true;
    for (ValueId& in : copy.in) in = recomputed(in);
    for (ValueId& out : copy.out) {
        const ValueId again = new_value_like(out);
        again_[static_cast<size_t>(out)] = again;  // of a kept one never read: the kernel writes it along
        out = again;
    }
    nodes_.push_back(std::move(copy));
    return again_[static_cast<size_t>(id)];
}

void ActivationCheckpointing::run() {
    const size_t forward = count_forward_nodes(), values = graph_.values.size();
    find_kept(forward);
    keep_what_is_small(forward);
    again_.assign(values, no_value);
    nodes_.assign(graph_.nodes.begin(), graph_.nodes.begin() + static_cast<ptrdiff_t>(forward));
    for (size_t i = forward; i < graph_.nodes.size(); ++i) {
        Node node = graph_.nodes[i];
        for (ValueId& id : node.in) id = recomputed(id);
        nodes_.push_back(std::move(node));
    }
    graph_.nodes = std::move(nodes_);
}

}  // namespace

void checkpoint_activations(Plan& plan) {
    if (plan.options.training && plan.options.activation_checkpointing) ActivationCheckpointing(plan).run();
}

}  // namespace xbench
