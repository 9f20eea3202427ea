// Connecting, wrapping and binding, in that order.
#include "app/train_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "app/commands.h"
#include "core/error.h"
#include "core/gather.h"
#include "core/launched.h"
#include "kernels/cuda/devices.h"
#include "parallel/comm/arrivals_only.h"
#include "parallel/comm/slow_link.h"
#include "parallel/train/probe_kind.h"

namespace xbench {
namespace {

// Throws where a call can; inside MPI a watching thread says it and ends this process, and the launcher ends the others.
std::shared_ptr<WaitLimit> limited_waits(int rank, double seconds) {
    auto limit = std::make_shared<WaitLimit>();
    limit->expired = [rank](const Error& error) {
        fmt::print(stderr, "xbench train, rank {}: {}\n", rank, error.what());
        std::_Exit(static_cast<int>(error.code()));
    };
    limit->stopped = [rank](const std::string& text) { fmt::print(stderr, "xbench train, rank {}: {}\n", rank, text); };
    limit->seconds = seconds;
    return limit;
}

}  // namespace

std::unique_ptr<Communicator> connect_ranks(const TrainerSetup& setup, const Config& config, const Binding& binding) {
    const Launched here = launched();
    std::string note;
    std::unique_ptr<Communicator> communicator;
    try {
        communicator = setup.connect({binding, limited_waits(here.rank, config.train.collective_timeout_seconds), &note});
    } catch (const UsageError&) {  // the same on all ranks
        if (here.rank > 0) throw ExitWith{ExitCode::usage};
        throw;
    }
    if (!note.empty() && communicator->rank() == 0) fmt::print(stderr, "note: {}\n", note);
    return communicator;
}

std::unique_ptr<Communicator> over_network(std::unique_ptr<Communicator> ranks, const Config& config) {
    LinkSpeed link{config.scaling.slow_link_mb_per_s * 1e6, config.scaling.slow_link_latency_us * 1e-6};
    const bool slow = link.bytes_per_second > 0 || link.latency_seconds > 0, ideal = moves_no_data(config.train);
    if (ideal) link = {};
    if (slow) ranks = make_slow_link(std::move(ranks), link);
    return ideal ? make_arrivals_only(std::move(ranks)) : std::move(ranks);
}

std::unique_ptr<ArrivalLog> arrival_log(const TrainConfig& train, const TrainerSetup& setup) {
    const bool host = std::string(setup.device) != "cuda";
    if (train.arrivals == "off" || (train.arrivals == "auto" && !host)) return nullptr;
    if (!host)
        throw UsageError("a GPU's ranks have left a collective before it is done", "/train/arrivals", "use auto or off");
    return std::make_unique<ArrivalLog>(train.arrivals == "alternate" ? ArrivalLog::When::alternate
                                                                      : ArrivalLog::When::always);
}

std::vector<std::string> gpus_of_ranks(int ranks_on_node) {
    std::vector<std::string> addresses;
    for (const GpuDescription& gpu : query_gpus().gpus) addresses.push_back(gpu.pci_address);
    if (static_cast<int>(addresses.size()) < ranks_on_node) addresses.clear();
    return addresses;
}

void bind_beside_gpus(Communicator& communicator, int threads, Binding& binding) {
    const std::vector<GpuDescription> seen = query_gpus().gpus;
    const bool sees_its_own = seen.size() == 1 && binding.gpu.empty();
    const std::vector<std::string> all = gather_texts(communicator, sees_its_own ? seen.front().pci_address : "");
    const std::vector<int> nodes = communicator.nodes();
    const auto me = static_cast<size_t>(communicator.rank());
    std::vector<std::string> gpus;
    int place = 0;
    for (size_t rank = 0; rank < nodes.size(); ++rank) {
        if (nodes[rank] != nodes[me]) continue;
        if (rank == me) place = static_cast<int>(gpus.size());
        gpus.push_back(all[rank]);
    }
    const bool all_known = std::none_of(gpus.begin(), gpus.end(), [](const std::string& gpu) { return gpu.empty(); });
    if (all_known) binding = bind_again(binding, place, static_cast<int>(gpus.size()), threads, gpus);
}

}  // namespace xbench
