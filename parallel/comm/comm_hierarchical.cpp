// Collectives over several nodes.
//
// A sum: the ranks of a node add their data into the leader's (comm_shm, in place where the memory allows it), the leaders
// add theirs over the network, and the total goes back to the ranks. Each element crosses a node's link once in each
// direction however many ranks the node has. Where a node's ranks own no whole subtree (3 + 3 ranks), its several parts go
// through the leader's scratch memory piece by piece.
#include "parallel/comm/comm_hierarchical.h"

#include <algorithm>
#include <cstring>
#include <deque>

#include "core/gather.h"
#include "parallel/comm/comm_shm.h"
#include "parallel/comm/shm_probe.h"

namespace xbench {
namespace {

// Of each part's sum that is in the scratch memory at a time. As large as what pays a network's latency.
constexpr size_t piece_bytes = size_t{1} << 20;
// Ranks of a node wait this much longer than their leader, which waits for the network and knows better what is missing.
constexpr double patience_seconds = 2;

bool have_equally_many(const std::vector<int>& nodes) {
    const auto first = std::count(nodes.begin(), nodes.end(), 0);
    for (int n = 1; n <= nodes.back(); ++n)
        if (std::count(nodes.begin(), nodes.end(), n) != first) return false;
    return true;
}

// What the ranks of several nodes talk over.
struct Lines {
    std::unique_ptr<Communicator> network;
    std::unique_ptr<NodeCommunicator> inside;
    std::unique_ptr<Communicator> across;  // the ranks of this one's place in each node; the leaders talk over theirs
};

// Why the ranks of some node cannot share memory, the same on all ranks; "" when they can.
std::string why_not_inside(Communicator& network) {
    const int node = network.nodes()[static_cast<size_t>(network.rank())];
    const std::unique_ptr<Communicator> inside = network.split(node);
    const std::string reason = inside->size() > 1 ? why_no_shared_memory(*inside, shm_bytes_to_connect()) : "";
    // One rank of a node speaks for it, and the first node for all.
    double speaker = reason.empty() || inside->rank() > 0 ? -network.size() : -network.rank();
    network.all_reduce_max(&speaker, 1);
    return gather_text(network, -speaker == network.rank() ? reason : "");
}

Lines connect_lines(std::unique_ptr<Communicator> network, bool own_cores) {
    Lines lines{std::move(network), nullptr, nullptr};
    const int node = lines.network->nodes()[static_cast<size_t>(lines.network->rank())];
    lines.inside = make_shm_communicator(lines.network->split(node), own_cores, patience_seconds);
    lines.across = lines.network->split(lines.inside->rank());
    return lines;
}

class HierarchicalCommunicator final : public Communicator {
public:
    HierarchicalCommunicator(Lines lines, bool own_cores)
        : Communicator(lines.network->wait_limit()),
          network_(std::move(lines.network)),
          own_cores_(own_cores),
          nodes_(network_->nodes()),
          node_(nodes_[static_cast<size_t>(network_->rank())]),
          inside_(std::move(lines.inside)),
          across_(std::move(lines.across)),
          over_ranks_(sum_tree(size(), size())),
          over_node_(sum_tree(inside_->size(), inside_->size())),
          count_(nodes_.back() + 1),
          even_(have_equally_many(nodes_)),
          scatters_(even_ && trees_of(over_ranks_).between == sum_tree(count_, count_)) {}

    int rank() const override { return network_->rank(); }
    int size() const override { return network_->size(); }
    int known_as() const override { return network_->known_as(); }
    const char* name() const override { return "shm+mpi"; }
    std::vector<int> nodes() const override { return nodes_; }
    std::unique_ptr<Communicator> split(int group) override { return connect_nodes(network_->split(group), own_cores_); }
    bool has_channels() const override { return network_->has_channels(); }
    bool moves_by_this_core() const override { return false; }
    std::unique_ptr<Communicator> channel() override {
        Lines lines{network_->channel(), inside_->node_channel(), across_->channel()};
        return std::make_unique<HierarchicalCommunicator>(std::move(lines), own_cores_);
    }
    AlignedBuffer allocate(size_t bytes) override { return inside_->allocate(bytes); }
    void abort(int code) override { inside_->abort(code); }

    void all_reduce_sum(float* data, size_t count, Reduction how) override { sum(data, count, how); }
    void all_reduce_sum(double* data, size_t count, Reduction how) override { sum(data, count, how); }
    void all_reduce_tree(float* data, size_t count, size_t stride, const SumTree& tree) override {
        sum_in_tree(data, count, stride, tree);
    }
    void all_reduce_tree(double* data, size_t count, size_t stride, const SumTree& tree) override {
        sum_in_tree(data, count, stride, tree);
    }
    void all_reduce_max(double* data, size_t count) override {
        inside_->all_reduce_max(data, count);
        if (leads()) across_->all_reduce_max(data, count);
        inside_->broadcast(data, count * sizeof(double), 0);
    }
    void reduce_scatter_sum(float* data, size_t count, Reduction how) override;
    void all_gather(float* data, size_t count) override;
    void broadcast(void* data, size_t bytes, int root) override;
    // Between any two ranks: nothing to be gained by a way through the leaders.
    void shift(const void* send, void* receive, size_t bytes, int distance) override {
        network_->shift(send, receive, bytes, distance);
    }
    std::vector<std::byte> all_gather_bytes(const std::vector<std::byte>& mine) override {
        return network_->all_gather_bytes(mine);
    }
    void barrier() override {
        inside_->barrier();
        if (leads()) across_->barrier();
        inside_->barrier();
    }

private:
    bool leads() const { return inside_->rank() == 0; }
    template <class T>
    void sum(T* data, size_t count, Reduction how);
    template <class T>
    void sum_in_tree(T* data, size_t count, size_t stride, const SumTree& tree);
    template <class T>
    void sum_in_parts(T* data, size_t count, size_t stride, const NodeTrees& trees);
    const NodeTrees& trees_of(const SumTree& tree);

    const std::unique_ptr<Communicator> network_;
    const bool own_cores_;
    const std::vector<int> nodes_;  // by rank
    const int node_;
    const std::unique_ptr<NodeCommunicator> inside_;
    const std::unique_ptr<Communicator> across_;
    std::deque<std::pair<SumTree, NodeTrees>> known_;
    const SumTree over_ranks_, over_node_;  // one addend a rank
    const int count_;                       // of nodes
    const bool even_;                       // all nodes have the same number of ranks
    const bool scatters_;                   // and each adds up a whole subtree
    AlignedBuffer scratch_;                 // {parts}{piece}, of the leader
    std::vector<RankRange> ranges_;
};

const NodeTrees& HierarchicalCommunicator::trees_of(const SumTree& tree) {
    for (const auto& [known, trees] : known_)
        if (known == tree) return trees;
    known_.emplace_back(tree, node_trees(tree, nodes_, node_));
    return known_.back().second;
}

template <class T>
void HierarchicalCommunicator::sum(T* data, size_t count, Reduction how) {
    if (how == Reduction::invariant) return sum_in_tree(data, count, 0, over_ranks_);
    inside_->reduce_tree(data, count, 0, over_node_, data);
    if (leads()) across_->all_reduce_sum(data, count, how);
    inside_->broadcast(data, count * sizeof(T), 0);
}

template <class T>
void HierarchicalCommunicator::sum_in_tree(T* data, size_t count, size_t stride, const SumTree& tree) {
    const NodeTrees& trees = trees_of(tree);
    if (trees.most_parts > 1) return sum_in_parts(data, count, stride, trees);
    inside_->reduce_tree(data, count, stride, trees.parts[0].tree, data);
    if (leads()) across_->all_reduce_tree(data, count, 0, trees.between);
    inside_->broadcast(data, count * sizeof(T), 0);
}

template <class T>
void HierarchicalCommunicator::sum_in_parts(T* data, size_t count, size_t stride, const NodeTrees& trees) {
    const auto place = static_cast<size_t>(inside_->rank());
    const size_t room = piece_bytes / sizeof(T), bytes = trees.parts.size() * piece_bytes;
    if (leads() && scratch_.bytes() < bytes) scratch_ = AlignedBuffer(bytes);
    for (size_t begin = 0; begin < count; begin += room) {
        const size_t piece = std::min(room, count - begin);
        T* total = leads() ? scratch_.as<T>() : nullptr;
        for (const NodeTrees::Part& part : trees.parts) {
            T* const addend = data + begin + static_cast<size_t>(part.skip[place]) * stride;
            inside_->reduce_tree(addend, piece, stride, part.tree, total);
            if (leads()) total += room;
        }
        if (leads()) {
            across_->all_reduce_tree(scratch_.as<T>(), piece, room, trees.between);
            std::memcpy(data + begin, scratch_.data(), piece * sizeof(T));
        }
        inside_->broadcast(data + begin, piece * sizeof(T), 0);
    }
}

// With the same number of ranks on every node, a node's range is that of one of as many equal ranks as there are nodes.
void HierarchicalCommunicator::reduce_scatter_sum(float* data, size_t count, Reduction how) {
    if (!scatters_) return sum(data, count, how);
    inside_->reduce_tree(data, count, 0, over_node_, data);
    const RankRange here = range_of_rank(count, node_, count_);
    if (leads()) across_->reduce_scatter_sum(data, count, how);
    inside_->broadcast(data + here.begin, (here.end - here.begin) * sizeof(float), 0);
}

void HierarchicalCommunicator::all_gather(float* data, size_t count) {
    if (!even_) return network_->all_gather(data, count);
    ranges_.clear();
    for (int r = 0; r < inside_->size(); ++r) ranges_.push_back(range_of_rank(count, node_ * inside_->size() + r, size()));
    inside_->gather_ranges(data, count, ranges_);
    if (leads()) across_->all_gather(data, count);
    const RankRange here = range_of_rank(count, node_, count_);
    inside_->broadcast(data, here.begin * sizeof(float), 0);
    inside_->broadcast(data + here.end, (count - here.end) * sizeof(float), 0);
}

void HierarchicalCommunicator::broadcast(void* data, size_t bytes, int root) {
    const int home = nodes_[static_cast<size_t>(root)];
    const auto first = static_cast<int>(std::find(nodes_.begin(), nodes_.end(), home) - nodes_.begin());
    if (node_ == home) inside_->broadcast(data, bytes, root - first);
    if (leads()) across_->broadcast(data, bytes, home);
    if (node_ != home) inside_->broadcast(data, bytes, 0);
}

}  // namespace

std::unique_ptr<Communicator> connect_nodes(std::unique_ptr<Communicator> network, bool own_cores, std::string* note) {
    const std::vector<int> nodes = network->nodes();
    if (network->size() == 1 || nodes.back() + 1 == network->size()) return network;
    if (const std::string reason = why_not_inside(*network); !reason.empty()) {
        if (note != nullptr) *note = "the ranks of a node share no memory and talk by MPI alone, which is slower: " + reason;
        return network;
    }
    if (nodes.back() == 0) return make_shm_communicator(std::move(network), own_cores);
    return std::make_unique<HierarchicalCommunicator>(connect_lines(std::move(network), own_cores), own_cores);
}

}  // namespace xbench
