// xbench comm: the collectives' speed over the ranks, as the trainers connect them (shared memory inside a node) and through
// plain MPI side by side; or over ranks with a GPU each, by NCCL and through the host. Started alone it starts its ranks
// itself, on this machine: by mpirun where this build has MPI, else, and for GPUs, as processes of its own.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "app/comm_start.h"
#include "app/command_table.h"
#include "app/commands.h"
#include "app/device_option.h"
#include "app/single_process.h"
#include "bench/base/environment.h"
#include "bench/comm/comm_suite.h"
#include "core/error.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/hardware.h"
#include "core/launched.h"
#include "kernels/cuda/devices.h"
#include "parallel/comm/comm_hierarchical.h"
#include "parallel/comm/comm_shm.h"
#include "parallel/comm/comm_staged.h"
#include "parallel/comm/composed.h"
#include "parallel/comm/nccl.h"
#include "parallel/comm/own_gpus.h"
#include "parallel/comm/setups.h"
#include "parallel/comm/shm_probe.h"

namespace xbench {
namespace {

constexpr double least_factor = 1.01;

struct CommCommand {
    std::string begin = "1K", end = "64M";
    CommSuiteOptions suite;
    RankStart start;
    std::string device = "cpu";
    bool json = false;
};

void print_timings(const CommCommand& command, const std::vector<Transport>& transports,
                   const std::vector<CommTiming>& timings, std::string& operation) {
    for (const CommTiming& timing : timings)
        if (command.json) fmt::print("{}\n", json_text(to_json(timing)));
    if (!command.json) {
        if (operation != timings[0].operation)
            fmt::print("{}{}", operation.empty() ? "" : "\n",
                       comm_table_head(timings[0].operation, transports, timings[0].ranks));
        fmt::print("{}", comm_table_row(timings));
    }
    operation = timings[0].operation;
    std::fflush(stdout);
}

// What every rank does. Throws Error when a result was wrong.
void measure_on(const CommCommand& command, const std::vector<Transport>& transports) {
    const bool first = transports[0].communicator->rank() == 0;
    std::string operation;
    uint64_t wrong = 0;
    run_comm_suite(transports, command.suite, [&](const std::vector<CommTiming>& timings) {
        for (const CommTiming& timing : timings) wrong += timing.wrong;
        if (first) print_timings(command, transports, timings, operation);
    });
    if (wrong > 0 && first) throw Error(fmt::format("{} elements came out wrong", wrong), "xbench comm");
}

// Two buffers of the largest size a rank lie in /dev/shm at once: the sizes end where it does.
void fit_into_shared_memory(CommCommand& command, ControlPlane& ranks) {
    std::vector<int> on_node(static_cast<size_t>(ranks.size()));
    for (const int node : ranks.nodes()) ++on_node[static_cast<size_t>(node)];
    const auto most = static_cast<size_t>(*std::max_element(on_node.begin(), on_node.end()));
    constexpr size_t reserve = size_t{4} << 20;  // staging, channels
    const size_t free = free_shared_memory();
    double least = -static_cast<double>(free > reserve ? free - reserve : 0);
    ranks.all_reduce_max(&least, 1);
    const auto fits = static_cast<uint64_t>(-least) / (2 * most);
    const auto mib = [](uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
    if (fits < command.suite.begin_bytes)
        throw Error(
            fmt::format("needs {:.1f} MiB for buffers of {} bytes on {} ranks, {:.1f} MiB are free",
                        mib(2 * most * command.suite.begin_bytes + reserve), command.suite.begin_bytes, most, mib(free)),
            "/dev/shm", "give it more (docker: --shm-size=1g), or fewer --ranks or a smaller --begin");
    if (fits >= command.suite.end_bytes) return;
    if (ranks.rank() == 0)
        fmt::print(stderr, "note: /dev/shm has {:.0f} MiB free: sizes end at {:.1f} MiB; {:.0f} MiB would do for all\n",
                   mib(free), mib(fits), mib(2 * most * command.suite.end_bytes + reserve));
    command.suite.end_bytes = fits;
}

void run_as_mpi_rank(CommCommand& command) {
    const Binding binding = bind_this_process(local_rank_from_environment(), ranks_on_node_from_environment(), 1);
    if (mpi_connector() == nullptr) throw Error("this build has no MPI", "xbench comm", "start it without a launcher");
    const std::shared_ptr<Communicator> mpi = mpi_connector()();
    mpi->wait_limit()->expired = [&](const Error& error) {
        fmt::print(stderr, "xbench comm, rank {}: {}\n", mpi->rank(), error.what());
        std::_Exit(static_cast<int>(error.code()));
    };
    try {
        std::vector<Transport> transports;
        std::string note;
        const auto best = connect_nodes(mpi->split(0), binding.bound && !binding.oversubscribed, &note);
        if (!note.empty() && mpi->rank() == 0) fmt::print(stderr, "note: {}\n", note);
        if (std::string(best->name()) != mpi->name())  // else every rank is on a node of its own
            transports.push_back({best->name(), best.get(), Reduction::invariant});
        if (!transports.empty()) fit_into_shared_memory(command, *best);
        transports.push_back({"mpi, fixed tree", mpi.get(), Reduction::invariant});
        transports.push_back({"mpi", mpi.get(), Reduction::fast});
        measure_on(command, transports);
    } catch (const std::exception& error) {
        const Failure failure = failure_of(error);
        fmt::print(stderr, "xbench comm, rank {}: {}\n", mpi->rank(), failure.line);
        mpi->abort(static_cast<int>(failure.code));
    }
}

// NCCL and, on all machines, the way through the host.
std::vector<Transport> transports_of_gpus(Communicator& control, Device& device,
                                          std::vector<std::unique_ptr<Communicator>>& owned) {
    std::vector<Transport> transports;
    if (const std::string why_not = why_no_nccl(control, device); !why_not.empty()) {
        if (control.rank() == 0) fmt::print(stderr, "note: without NCCL: {}\n", why_not);
    } else {
        owned.push_back(compose(control.split(0), make_nccl_plane, device, "nccl"));
        transports.push_back({"nccl, fixed tree", owned.back().get(), Reduction::invariant, &device});
        transports.push_back({"nccl", owned.back().get(), Reduction::fast, &device});
    }
    owned.push_back(make_staged_communicator(control, device));
    transports.push_back({owned.back()->name(), owned.back().get(), Reduction::invariant, &device});
    return transports;
}

void run_as_gpu_rank(const CommCommand& command) {
    const Binding binding = bind_this_process(local_rank_from_environment(), ranks_on_node_from_environment(), 1);
    const int rank = launched().rank;
    auto limit = std::make_shared<WaitLimit>();
    limit->expired = [rank](const Error& error) {
        fmt::print(stderr, "xbench comm, rank {}: {}\n", rank, error.what());
        std::_Exit(static_cast<int>(error.code()));
    };
    const std::unique_ptr<Communicator> control = find_setup("gpu_ddp").connect({binding, limit, nullptr});
    try {
        const std::unique_ptr<Device> device = make_device("cuda", 1, local_rank_from_environment());
        check_own_gpus(*control, *device);
        std::vector<std::unique_ptr<Communicator>> owned;
        measure_on(command, transports_of_gpus(*control, *device, owned));
    } catch (const std::exception& error) {
        const Failure failure = failure_of(error);
        fmt::print(stderr, "xbench comm, rank {}: {}\n", rank, failure.line);
        control->abort(static_cast<int>(failure.code));
    }
}

void run_on_gpus(CommCommand& command) {
    if (ranks_from_environment() > 1) return run_as_gpu_rank(command);
    const GpuSystem system = query_gpus();
    if (!system.why_not.empty()) throw Error(system.why_not, "xbench comm");
    const auto gpus = static_cast<int>(system.gpus.size());
    if (command.start.ranks == 0) command.start.ranks = gpus;
    if (command.start.ranks < 2 || command.start.ranks > gpus)
        throw UsageError(fmt::format("{} rank{} with a GPU each, and this machine has {}", command.start.ranks,
                                     command.start.ranks == 1 ? "" : "s", gpus),
                         "--ranks",
                         "give 2 or more, at most one for each GPU; mpirun or srun starts them on several machines");
    start_gpu_ranks(command.start);
}

// A rank that start_cpu_ranks() started without MPI.
void run_as_own_rank(CommCommand& command, const char* meeting_name) {
    const Launched here = launched();
    const Binding binding = bind_this_process(here.local, here.on_node, 1);
    MeetingOptions meeting;
    meeting.name = meeting_name;
    meeting.rank = here.rank;
    meeting.ranks = here.ranks;
    meeting.own_cores = binding.bound && !binding.oversubscribed;
    try {
        const auto shm = make_shm_communicator(meeting);
        fit_into_shared_memory(command, *shm);
        measure_on(command, {{"shm", shm.get(), Reduction::invariant}});
    } catch (const std::exception& error) {
        const Failure failure = failure_of(error);
        fmt::print(stderr, "xbench comm, rank {}: {}\n", meeting.rank, failure.line);
        throw ExitWith{failure.code};
    }
}

void run(CommCommand& command) {
    command.suite.begin_bytes = parse_bytes(command.begin);
    command.suite.end_bytes = parse_bytes(command.end);
    if (command.suite.begin_bytes > command.suite.end_bytes)
        throw UsageError("begins above the largest, " + command.end, "--begin " + command.begin, "give a smaller --begin");
    if (!(command.suite.factor >= least_factor))
        throw UsageError(fmt::format("{} is no step from one size to the next", command.suite.factor), "--factor",
                         fmt::format("give {} or more", least_factor));
    for (const std::string& operation : command.suite.operations) {
        const auto known = comm_operations();
        if (std::find(known.begin(), known.end(), operation) == known.end())
            throw UsageError("unknown collective " + operation, "--op", fmt::format("there are {}", fmt::join(known, ", ")));
    }
    if (command.device == "cuda") return run_on_gpus(command);
    if (const char* const name = std::getenv(meeting_variable); name != nullptr && *name != '\0')
        return run_as_own_rank(command, name);
    if (ranks_from_environment() > 1) return run_as_mpi_rank(command);
    start_cpu_ranks(command.start);
}

}  // namespace

void add_comm_command(CLI::App& app) {
    CLI::App* comm = app.add_subcommand("comm", "time the collectives over this machine's ranks, shared memory and MPI");
    auto command = std::make_shared<CommCommand>();
    comm->add_option("-b,--begin", command->begin, "smallest buffer: bytes, or with K, M, G")
        ->type_name("SIZE")
        ->capture_default_str();
    comm->add_option("-e,--end", command->end, "largest buffer")->type_name("SIZE")->capture_default_str();
    comm->add_option("-f,--factor", command->suite.factor, "from one size to the next")->capture_default_str();
    comm->add_option("--op", command->suite.operations, "only this collective")->type_name(value::one_of(comm_operations()));
    add_device_option(*comm, command->device);
    comm->add_option("--ranks", command->start.ranks,
                     "processes (default: the cores of this machine, at least 2, or its GPUs)")
        ->check(CLI::Range(1, most_threads));
    comm->add_option("--rounds", command->suite.rounds, "measurements of each size")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    comm->add_flag("--json", command->json, "one line of JSON for each timing");
    comm->footer(
        "Started alone it starts its ranks itself; under mpirun or srun it takes theirs.\n\n"
        "$ xbench comm -b 64K -e 64M --ranks 4\n"
        "$ mpirun --hostfile hosts -n 8 xbench comm --op all_reduce\n"
        "$ xbench comm --device cuda");
    comm->callback([command] {
        command->start.command_line = this_command_line();
        run(*command);
    });
}

}  // namespace xbench
