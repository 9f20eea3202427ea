// Which memory layout the images between layers have, so that nothing is converted on the way.
//   plain    the vector runs along the width: few channels, where blocks of 16 would be partly padding
//   nchw16c  the vector runs along the channels: everything wider, where the device's rows want it (wished_layouts)
//   nhwc     all channels of a pixel: everything, where a GPU multiplies on its tensor cores
// Values that an operator reads and writes together share a layout and are chosen together; only a pooled batch
// normalisation turns plain images into blocked ones on its way. Never by batch or threads: another layout is another order
// of summation.
#include <algorithm>
#include <numeric>

#include "plan/passes.h"

namespace xbench {
namespace {

bool spatial(const Value& value) {
    return value.shape.rank == 4 && (value.role == Role::activation || value.role == Role::gradient);
}

bool is_grouped(const Node& node) {
    const bool convolution = node.op == OpKind::conv2d || node.op == OpKind::conv2d_dgrad || node.op == OpKind::conv2d_wgrad;
    return convolution && std::get<Conv2d>(node.attrs).groups != 1;
}

// Values of equal number must have one layout.
std::vector<ValueId> tie_values(const Graph& graph) {
    std::vector<ValueId> tie(graph.values.size());
    std::iota(tie.begin(), tie.end(), 0);
    const auto root = [&](ValueId id) {
        while (tie[static_cast<size_t>(id)] != id) id = tie[static_cast<size_t>(id)];
        return id;
    };
    const auto join = [&](const std::vector<ValueId>& ids) {
        ValueId first = no_value;
        for (const ValueId id : ids) {
            if (id == no_value || !spatial(graph.value(id))) continue;
            if (first == no_value) first = id;
            tie[static_cast<size_t>(root(id))] = root(first);
        }
    };
    for (const Node& node : graph.nodes) {
        std::vector<ValueId> image = node.in, pooled;
        image.insert(image.end(), node.out.begin(), node.out.end());
        // in x, .. -> y, [index, xhat];  xhat, dy, [index] -> ..;  x, dy, index, .. -> dx
        if (node.op == OpKind::batchnorm_pool_apply) pooled = {node.out[0]};
        if (node.op == OpKind::batchnorm_pool_grad_statistics || node.op == OpKind::batchnorm_pool_grad_input)
            pooled = {node.in[1]};
        for (const ValueId id : pooled) std::erase(image, id);
        join(image);
    }
    for (size_t id = 0; id < tie.size(); ++id) tie[id] = root(static_cast<ValueId>(id));
    return tie;
}

bool reads_plain_input(const Plan& plan, const Node& node) {
    const Graph& graph = plan.graph;
    const bool convolution = node.op == OpKind::conv2d || node.op == OpKind::conv2d_wgrad;
    return convolution && !is_grouped(node) &&
           graph.value(graph.input).shape[1] <= wished_layouts(plan.target, plan.options.products).most_stem_channels;
}

// A pooled batch normalisation whose index and normalised values are plain, like the images it reads, although what it
// writes may be blocked.
bool reads_plain_windows(const Plan& plan, const Node& node) {
    const auto plain = [&](ValueId id) { return id == no_value || plan.value(id).layout == Layout::plain; };
    return node.op == OpKind::batchnorm_pool_apply && std::all_of(node.out.begin() + 1, node.out.end(), plain);
}

bool touches_blocked(const Plan& plan, const Node& node) {
    const auto blocked = [&](ValueId id) { return id != no_value && plan.value(id).layout != Layout::plain; };
    return std::any_of(node.in.begin(), node.in.end(), blocked) || std::any_of(node.out.begin(), node.out.end(), blocked);
}

// Some operator of blocked images cannot read the plain ones: a blocked copy of them comes first.
void reorder_input(Plan& plan) {
    Graph& graph = plan.graph;
    std::vector<Node*> readers;
    for (Node& node : graph.nodes)
        if (std::count(node.in.begin(), node.in.end(), graph.input) && touches_blocked(plan, node) &&
            !reads_plain_input(plan, node) && !reads_plain_windows(plan, node))
            readers.push_back(&node);
    if (readers.empty()) return;
    Value blocked = graph.value(graph.input);
    blocked.name = "input (blocked)";
    blocked.role = Role::activation;
    const ValueId copy = graph.add(std::move(blocked));
    plan.values.push_back({});
    plan.values.back().layout = wished_layouts(plan.target, plan.options.products).wide;
    for (Node* node : readers) std::replace(node->in.begin(), node->in.end(), graph.input, copy);
    graph.nodes.insert(graph.nodes.begin(),
                       {OpKind::reorder, Elementwise{Activation::none}, {graph.input}, {copy}, "input"});
}

// The layout that the device wishes for where a value tied to this one has enough channels.
void block_wide_values(Plan& plan) {
    const Graph& graph = plan.graph;
    const LayoutWishes wishes = wished_layouts(plan.target, plan.options.products);
    const auto tie = tie_values(graph);
    std::vector<int64_t> most(tie.size(), 0);  // channels of a value tied to this one
    for (size_t id = 0; id < tie.size(); ++id) {
        if (!spatial(graph.values[id])) continue;
        int64_t& channels = most[static_cast<size_t>(tie[id])];
        channels = std::max(channels, graph.values[id].shape[1]);
    }
    for (size_t id = 0; id < tie.size(); ++id)
        if (spatial(graph.values[id]) && most[static_cast<size_t>(tie[id])] >= wishes.from_channels)
            plan.values[id].layout = wishes.wide;
}

void set_shapes(Plan& plan) {
    for (size_t id = 0; id < plan.values.size(); ++id) {
        const Value& value = plan.graph.values[id];
        PlannedValue& planned = plan.values[id];
        planned.shape = value.shape;
        if (value.batched()) planned.shape[0] = plan.options.max_batch;
        planned.dtype = value.dtype == DType::f32 ? plan.options.dtype : value.dtype;
        planned.bytes = stored_bytes(planned.shape, planned.dtype, planned.layout);
    }
}

// Groups of any size have vector kernels over plain images; over blocked ones the registry says which.
bool has_a_vector_kernel(const Plan& plan, const Node& node) {
    Problem problem = problem_of(plan, node);
    bool blocked = false;
    KernelTensor* const images[] = {&problem.in[0], node.op == OpKind::conv2d_wgrad ? &problem.in[1] : &problem.out[0]};
    for (const KernelTensor* t : images) blocked = blocked || t->layout != Layout::plain;
    for (KernelTensor* t : images)  // the graph's input would be copied into blocks, too
        if (blocked) t->layout = wished_layouts(plan.target, plan.options.products).wide;
    return &select(problem, plan.target) != &reference(node.op);
}

}  // namespace

void choose_layouts(Plan& plan) {
    plan.values.resize(plan.graph.values.size());  // plain
    if (!plan.options.naive) {
        block_wide_values(plan);
        set_shapes(plan);
        const auto& nodes = plan.graph.nodes;
        if (std::any_of(nodes.begin(), nodes.end(),
                        [&](const Node& node) { return is_grouped(node) && !has_a_vector_kernel(plan, node); }))
            for (PlannedValue& value : plan.values) value.layout = Layout::plain;
        reorder_input(plan);
    }
    set_shapes(plan);
}

}  // namespace xbench
