// xbench doctor: what this machine and this build offer, and what is wrong with them.
#include <fmt/format.h>

#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "app/commands.h"
#include "app/help_text.h"
#include "bench/base/energy.h"
#include "bench/base/environment.h"
#include "bench/base/measure.h"
#include "bench/base/surroundings.h"
#include "bench/sweep/launch.h"
#include "core/hardware.h"
#include "kernels/cuda/devices.h"
#include "parallel/comm/setups.h"

namespace xbench {
namespace {

void examine_processor(const Hardware& hardware, Findings& found) {
    found.push_back({"processor", "ok",
                     fmt::format("{}, {} sockets, {} cores, {} threads", hardware.cpu_model, hardware.sockets,
                                 hardware.cores, hardware.hardware_threads),
                     ""});
    const bool quota = hardware.quota_cores > 0 && hardware.quota_cores < hardware.cores;
    const bool all = hardware.allowed_threads == hardware.hardware_threads && !quota;
    found.push_back({"cores allowed", all ? "ok" : "warn",
                     fmt::format("{} of {} (cpus {}{})", hardware.allowed_cores, hardware.cores, hardware.allowed_cpuset,
                                 quota ? fmt::format("; CPU quota of {:.3g}", hardware.quota_cores) : ""),
                     all     ? ""
                     : quota ? "a control group (docker --cpus, Kubernetes limits) gives no more; sweeps count only that"
                             : "this process is bound or in a cpuset; sweeps count only what it may use"});
    for (const char* limit : {"OMP_THREAD_LIMIT", "OMP_MAX_ACTIVE_LEVELS", "OMP_DYNAMIC", "GOMP_CPU_AFFINITY", "OMP_PLACES"})
        if (const char* value = std::getenv(limit))
            found.push_back({limit, "warn", value, "it changes how many threads run, or where; unset it to measure"});
    found.push_back({"SMT", hardware.smt ? "note" : "ok", hardware.smt ? "on" : "off",
                     hardware.smt ? "xbench uses one hardware thread of each core" : ""});
    if (emulates_avx512())
        found.push_back({"instruction set", "warn", fmt::format("{}, emulated", isa_name(best_isa())),
                         "a build for tests: configure with -DXB_EMULATE_AVX512=OFF to measure"});
    else
        found.push_back({"instruction set", best_isa() == Isa::portable ? "warn" : "ok", isa_name(best_isa()),
                         best_isa() == Isa::portable ? "no AVX2: the portable kernels are several times slower" : ""});
    const bool pairs = usable_isa() == Isa::avx512_bf16;
    found.push_back({"bf16", pairs ? "ok" : "note", pairs ? "AVX-512-BF16" : "rounded operands, products in f32",
                     pairs ? "" : "train.precision bf16 is no faster than fp32 here"});
    if (usable_isa() != best_isa())
        found.push_back({"XBENCH_ISA", "warn", isa_name(usable_isa()), "unset it to use the best instruction set"});
    const bool fixed = hardware.governor == "performance";
    if (hardware.governor.empty())
        found.push_back({"governor", "note", "not shown by this system (a virtual machine?)", ""});
    else
        found.push_back(
            {"governor", fixed ? "ok" : "warn", hardware.governor, fixed ? "" : "cpupower frequency-set -g performance"});
    std::string caches;
    for (const CacheLevel& cache : hardware.data_caches)
        caches += fmt::format("{}L{} {} x {} KiB", caches.empty() ? "" : ", ", cache.level, cache.count, cache.bytes / 1024);
    found.push_back({"caches", "ok", caches, ""});
    found.push_back({"NUMA nodes", "ok", std::to_string(hardware.numa_nodes), ""});
}

void examine_memory(const Hardware& hardware, Findings& found) {
    constexpr double gib = 1024.0 * 1024 * 1024;
    const double available = static_cast<double>(hardware.memory_available_bytes) / gib;
    found.push_back(
        {"memory", available < 1 ? "warn" : "ok",
         fmt::format("{:.1f} GiB, {:.1f} GiB available", static_cast<double>(hardware.memory_bytes) / gib, available),
         available < 1 ? "free memory before a run" : ""});
    const EnergyMeter energy;
    found.push_back({"energy", "note", energy.why().empty() ? "RAPL counters are readable" : energy.why(), ""});
}

// The spread of one short computation, repeated: what other work on the machine does to a measurement.
void examine_noise(const Hardware& hardware, Findings& found) {
    volatile double sink = 0;
    const auto work = [&] {
        double x = 1;
        for (int i = 0; i < 200000; ++i) x = x * 1.0000001 + 1e-9;
        sink = x;
    };
    const std::vector<int64_t> samples = measure(work, {.seconds = 0.3});
    const std::vector<double> times(samples.begin(), samples.end());
    const Interval spread = interval_of(times);
    std::vector<double> sorted = times;
    std::sort(sorted.begin(), sorted.end());
    const double tail = sorted[sorted.size() * 95 / 100] / spread.median - 1;
    found.push_back({"noise", tail > 0.05 ? "warn" : "ok",
                     fmt::format("95th percentile {:.1f}% above the median", 100 * tail),
                     tail > 0.05 ? "something else runs here; stop it, or take more repeats" : ""});
    const bool busy = hardware.load_average > 0.5 * hardware.cores;
    found.push_back({"load", busy ? "warn" : "ok", fmt::format("{:.2f} in the last minute", hardware.load_average),
                     busy ? "other programs use the cores" : ""});
}

// What the job's surroundings do to it.
void add_surroundings(const Hardware& hardware, Findings& found) {
    // What `xbench comm` takes by default: two buffers of 64 MiB a rank.
    const int64_t wanted = (int64_t{128} << 20) * std::max(2, hardware.allowed_cores) + (4 << 20);
    for (Finding& finding : examine_surroundings(surroundings_here(wanted))) found.push_back(std::move(finding));
}

void examine_launchers(Findings& found) {
    const std::string mpi = first_line_of("mpirun --version"), slurm = first_line_of("sinfo --version"),
                      sbatch = find_program("sbatch");
    found.push_back({"mpirun", mpi.empty() ? "wrong" : "ok", mpi.empty() ? "not found" : mpi,
                     mpi.empty() ? "apt-get install openmpi-bin; without it cpu_ddp rows do not run" : ""});
    if (geteuid() == 0)
        found.push_back(
            {"root", "note", "running as root",
             "xbench sets OMPI_ALLOW_RUN_AS_ROOT for the ranks that it starts; your own mpirun needs --allow-run-as-root"});
    const std::string unconfigured = sbatch + ", but no cluster is configured here";
    found.push_back({"Slurm", sbatch.empty() ? "note" : "ok",
                     sbatch.empty()  ? "not found: the slurm scripts are for a cluster that has it"
                     : slurm.empty() ? unconfigured
                                     : slurm,
                     ""});
    if (const char* job = std::getenv("SLURM_JOB_ID"))
        found.push_back({"Slurm job", "ok", fmt::format("inside job {}; ranks start by srun", job), ""});
    for (const TrainerSetup& setup : trainer_setups())
        if (setup.device != std::string("cuda") || setup.name == std::string("gpu_ddp"))
            found.push_back({fmt::format("trainer {}", setup.name), setup.available ? "ok" : "note",
                             setup.available ? "available" : setup.reason, ""});
}

std::string version_of_cuda(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

void examine_gpus(Findings& found) {
    const GpuSystem system = query_gpus();
    if (system.driver_version > 0)
        found.push_back({"CUDA driver", "ok", "of CUDA " + version_of_cuda(system.driver_version), ""});
    if (!system.why_not.empty()) found.push_back({"GPU", "note", system.why_not, ""});
    for (const GpuDescription& gpu : system.gpus)
        found.push_back(
            {fmt::format("GPU {}", gpu.ordinal), system.emulated ? "warn" : "ok",
             fmt::format("{}, compute capability {}.{}, {:.1f} GiB, {} multiprocessors, {}", gpu.name,
                         gpu.compute_capability / 10, gpu.compute_capability % 10,
                         static_cast<double>(gpu.memory_bytes) / (1 << 30), gpu.multiprocessors, gpu.pci_address),
             system.emulated ? "a test tool: no time from it means anything, and none enters a table" : ""});
}

void examine_build(Findings& found) {
    const Json build = build_info();
    const bool release = build["build_type"] == "Release" && build["sanitize"] == "";
    found.push_back(
        {"build", release ? "ok" : "warn",
         fmt::format("xbench {} {}, {}, {} {}", build["version"].get<std::string>(),
                     build["commit"].get<std::string>().substr(0, 12), build["compiler"].get<std::string>(),
                     build["build_type"].get<std::string>(), build["flags"].get<std::string>()),
         release ? "" : "times of this build mean nothing; configure with -DCMAKE_BUILD_TYPE=Release and no sanitizer"});
    if (build["dirty"] == true)
        found.push_back({"source", "note", "changed since the commit", "commit before a run that is to be published"});
    std::string libraries;
    for (const auto& [name, version] : build["libraries"].items())
        libraries += fmt::format("{}{} {}", libraries.empty() ? "" : ", ", name, version.get<std::string>());
    found.push_back({"libraries", "ok", libraries, ""});
}

void run_doctor(bool json) {
    const Hardware hardware = query_hardware();
    Findings found;
    examine_build(found);
    examine_processor(hardware, found);
    examine_memory(hardware, found);
    examine_launchers(found);
    add_surroundings(hardware, found);
    examine_gpus(found);
    examine_noise(hardware, found);
    if (json) {
        Json list = Json::array();
        for (const Finding& f : found)
            list.push_back(Json{{"what", f.what}, {"level", f.level}, {"value", f.value}, {"remedy", f.remedy}});
        fmt::print("{}\n", json_text(Json{{"environment", describe_environment({"xbench", "doctor", "--json"}, hardware)},
                                          {"findings", list}},
                                     2));
        return;
    }
    int problems = 0;
    const size_t columns = isatty(STDOUT_FILENO) != 0 ? columns_here() : std::string::npos / 2;
    for (const Finding& f : found) {
        fmt::print("{:<6} {:<18} {}\n", f.level, f.what, wrapped(f.value, columns - 26, 26));
        if (!f.remedy.empty()) fmt::print("{:<25} -> {}\n", "", wrapped(f.remedy, columns - 29, 29));
        problems += f.level == "warn" || f.level == "wrong" ? 1 : 0;
    }
    fmt::print("\n{}\n", problems == 0 ? "nothing is wrong" : fmt::format("{} of {} need a look", problems, found.size()));
}

}  // namespace

void add_doctor_command(CLI::App& app) {
    CLI::App* doctor =
        app.add_subcommand("doctor", "hardware, bindings, libraries, GPUs, MPI, Slurm, and what is wrong with them");
    auto json = std::make_shared<bool>(false);
    doctor->add_flag("--json", *json, "as JSON");
    doctor->callback([json] { run_doctor(*json); });
}

std::string version_text() {
    const Json build = build_info();
    return fmt::format("xbench {} ({}{}, {} {})", build["version"].get<std::string>(),
                       build["commit"].get<std::string>().substr(0, 12), build["dirty"] == true ? " and changes" : "",
                       build["compiler"].get<std::string>(), build["build_type"].get<std::string>());
}

}  // namespace xbench
