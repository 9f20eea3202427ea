// Hardware by hwloc, /proc and /sys; instruction sets by cpuid.
#include "core/hardware.h"

#include <hwloc.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "core/cpu_quota.h"
#include "core/error.h"
#include "core/launched.h"
#include "core/nearest.h"

namespace xbench {
namespace {

struct TopologyDeleter {
    void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, TopologyDeleter>;

struct BitmapDeleter {
    void operator()(hwloc_bitmap_s* bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, BitmapDeleter>;

Bitmap make_bitmap() { return Bitmap(hwloc_bitmap_alloc()); }

Bitmap bitmap_of(const std::vector<unsigned>& cores) {
    Bitmap bitmap = make_bitmap();
    for (const unsigned core : cores) hwloc_bitmap_set(bitmap.get(), core);
    return bitmap;
}

Topology load_topology(bool with_devices = false) {
    setenv("HWLOC_HIDE_ERRORS", "2", 0);  // what it misses in a bare chroot is ours to say
    hwloc_topology_t raw = nullptr;
    if (hwloc_topology_init(&raw) != 0) throw Error("hwloc could not be started", "hardware");
    Topology topology(raw);
    if (with_devices) hwloc_topology_set_io_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    if (hwloc_topology_load(raw) != 0) throw Error("hwloc could not read the machine's topology", "hardware");
    return topology;
}

// The affinity of a process (0: this one), asked of the system itself: without /sys hwloc neither knows nor changes it.
bool get_affinity(pid_t process, hwloc_bitmap_t found) {
    cpu_set_t set;
    if (sched_getaffinity(process, sizeof set, &set) != 0) return false;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &set)) hwloc_bitmap_set(found, cpu);
    return true;
}

bool set_affinity(hwloc_const_bitmap_t wanted) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int cpu = hwloc_bitmap_first(wanted); cpu >= 0 && cpu < CPU_SETSIZE; cpu = hwloc_bitmap_next(wanted, cpu))
        CPU_SET(static_cast<unsigned>(cpu), &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

// What this process may run on: its affinity within what the system allows.
Bitmap allowed_set(hwloc_topology_t topology) {
    Bitmap allowed = make_bitmap();
    if (hwloc_get_cpubind(topology, allowed.get(), HWLOC_CPUBIND_PROCESS) != 0 && !get_affinity(0, allowed.get()))
        hwloc_bitmap_copy(allowed.get(), hwloc_topology_get_allowed_cpuset(topology));
    hwloc_bitmap_and(allowed.get(), allowed.get(), hwloc_topology_get_allowed_cpuset(topology));
    return allowed;
}

// Of these cores, those near each device; none where hwloc does not see it.
std::vector<std::vector<unsigned>> near_devices(hwloc_topology_t topology, const std::vector<std::string>& addresses,
                                                const std::vector<unsigned>& cores) {
    std::vector<std::vector<unsigned>> near;
    for (const std::string& address : addresses) {
        near.emplace_back();
        const hwloc_obj_t device = address.empty() ? nullptr : hwloc_get_pcidev_by_busidstring(topology, address.c_str());
        const hwloc_obj_t place = device ? hwloc_get_non_io_ancestor_obj(topology, device) : nullptr;
        if (!place || !place->cpuset) continue;
        std::copy_if(cores.begin(), cores.end(), std::back_inserter(near.back()),
                     [&](unsigned core) { return hwloc_bitmap_isset(place->cpuset, core) != 0; });
    }
    return near;
}

std::string to_text(hwloc_const_bitmap_t bitmap) {
    char* text = nullptr;
    if (hwloc_bitmap_list_asprintf(&text, bitmap) < 0) return {};
    std::string result(text);
    std::free(text);
    return result;
}

// One hardware thread of each core that the process may use, in the machine's order.
std::vector<unsigned> one_thread_of_each_core(hwloc_topology_t topology, hwloc_const_bitmap_t allowed) {
    std::vector<unsigned> threads;
    Bitmap usable = make_bitmap();
    for (hwloc_obj_t core = nullptr; (core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)) != nullptr;) {
        hwloc_bitmap_and(usable.get(), core->cpuset, allowed);
        if (!hwloc_bitmap_iszero(usable.get())) threads.push_back(static_cast<unsigned>(hwloc_bitmap_first(usable.get())));
    }
    if (threads.empty())  // a machine that shows no cores, only processing units
        for (int i = hwloc_bitmap_first(allowed); i >= 0; i = hwloc_bitmap_next(allowed, i))
            threads.push_back(static_cast<unsigned>(i));
    return threads;
}

// Whether the launcher has bound this rank to cores of its own (mpirun's default, --bind-to core): a part of what the
// launcher itself may use, of which there are enough such parts for all ranks of the node. Whether two share one all the
// same is seen when the ranks have connected.
bool has_cores_of_its_own(hwloc_topology_t topology, hwloc_const_bitmap_t mine, int ranks_on_node) {
    const Bitmap launcher = make_bitmap();
    if (ranks_on_node < 2 || !get_affinity(getppid(), launcher.get())) return false;
    const size_t here = one_thread_of_each_core(topology, mine).size();
    return here * static_cast<size_t>(ranks_on_node) <= one_thread_of_each_core(topology, launcher.get()).size();
}

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

// The value after "key" and a colon in files like /proc/cpuinfo.
std::string value_after(const std::string& path, const std::string& key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(key)) continue;
        const size_t begin = line.find_first_not_of(" \t:", key.size());
        return begin == std::string::npos ? "" : line.substr(begin);
    }
    return {};
}

int64_t memory_kib(const std::string& key) { return std::atoll(value_after("/proc/meminfo", key).c_str()); }

void add_caches(hwloc_topology_t topology, Hardware& hardware) {
    const std::array<hwloc_obj_type_t, 3> types{HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE};
    for (size_t i = 0; i < types.size(); ++i)
        if (const hwloc_obj_t cache = hwloc_get_next_obj_by_type(topology, types[i], nullptr))
            hardware.data_caches.push_back({static_cast<int>(i) + 1, static_cast<int64_t>(cache->attr->cache.size),
                                            hwloc_get_nbobjs_by_type(topology, types[i])});
}

// Whole cores within the quota: what is more would be throttled. At least one.
int cores_within(double quota, size_t cores) {
    if (quota <= 0) return static_cast<int>(cores);
    return std::clamp(static_cast<int>(quota + 1e-6), 1, static_cast<int>(cores));
}

const std::vector<std::string> isa_names{"portable", "avx2", "avx512", "avx512_bf16"};

}  // namespace

Hardware query_hardware() {
    Hardware hardware;
    utsname system{};
    if (uname(&system) == 0) {
        hardware.host = system.nodename;
        hardware.kernel = std::string(system.sysname) + " " + system.release;
    }
    const Topology topology = load_topology();
    const Bitmap allowed = allowed_set(topology.get());
    hardware.cpu_model = value_after("/proc/cpuinfo", "model name");
    hardware.sockets = std::max(1, hwloc_get_nbobjs_by_type(topology.get(), HWLOC_OBJ_PACKAGE));
    hardware.cores = hwloc_get_nbobjs_by_type(topology.get(), HWLOC_OBJ_CORE);
    hardware.hardware_threads = hwloc_get_nbobjs_by_type(topology.get(), HWLOC_OBJ_PU);
    hardware.numa_nodes = hwloc_get_nbobjs_by_type(topology.get(), HWLOC_OBJ_NUMANODE);
    hardware.quota_cores = cpu_quota();
    hardware.allowed_cores =
        cores_within(hardware.quota_cores, one_thread_of_each_core(topology.get(), allowed.get()).size());
    hardware.allowed_threads = hwloc_bitmap_weight(allowed.get());
    hardware.allowed_cpuset = to_text(allowed.get());
    hardware.smt = hardware.hardware_threads > hardware.cores;
    add_caches(topology.get(), hardware);
    hardware.governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    hardware.memory_bytes = memory_kib("MemTotal") * 1024;
    hardware.memory_available_bytes = memory_kib("MemAvailable") * 1024;
    hardware.isa = best_isa();
    if (const std::string load = first_line("/proc/loadavg"); !load.empty()) hardware.load_average = std::atof(load.c_str());
    return hardware;
}

const char* isa_name(Isa isa) { return isa_names[static_cast<size_t>(isa)].c_str(); }

Isa best_isa() {
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    const bool half_floats = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & (1u << 29)) != 0;
    const bool avx2 =
        half_floats && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    const bool avx512 = avx2 && !emulates_avx512() && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    if (avx512 && __builtin_cpu_supports("avx512bf16")) return Isa::avx512_bf16;
    if (avx512) return Isa::avx512;
    if (avx2) return emulates_avx512() ? Isa::avx512_bf16 : Isa::avx2;
#endif
    return Isa::portable;
}

bool emulates_avx512() { return XB_EMULATE_AVX512; }

Isa usable_isa() {
    const Isa best = best_isa();
    const char* forced = std::getenv("XBENCH_ISA");
    if (forced == nullptr || *forced == '\0') return best;
    const auto found = std::find(isa_names.begin(), isa_names.end(), forced);
    if (found == isa_names.end()) {
        const std::string close = nearest(forced, isa_names);
        throw UsageError("unknown instruction set \"" + std::string(forced) + "\"", "XBENCH_ISA",
                         close.empty() ? "one of portable, avx2, avx512, avx512_bf16" : "did you mean " + close + "?");
    }
    const Isa wanted = static_cast<Isa>(found - isa_names.begin());
    if (wanted > best)
        throw UsageError(*found + " is more than this processor has", "XBENCH_ISA",
                         std::string("at most ") + isa_name(best));
    return wanted;
}

int local_rank_from_environment() {
    if (const Launched here = launched(); !here.by.empty()) return here.local;
    const char* slurm = std::getenv("SLURM_LOCALID");
    return slurm != nullptr ? std::max(0, std::atoi(slurm)) : 0;
}

int ranks_from_environment() { return launched().ranks; }

int ranks_on_node_from_environment() {
    if (const Launched here = launched(); !here.by.empty()) return here.on_node;
    const char* slurm = std::getenv("SLURM_STEP_TASKS_PER_NODE");
    return slurm != nullptr ? std::max(1, std::atoi(slurm)) : 1;
}

std::vector<unsigned> cores_of_rank(const std::vector<unsigned>& cores, const std::vector<std::vector<unsigned>>& near,
                                    int local_rank, int threads) {
    std::vector<unsigned> free = cores, mine;
    for (int rank = 0; rank <= local_rank; ++rank) {
        const auto& wanted = static_cast<size_t>(rank) < near.size() ? near[static_cast<size_t>(rank)] : cores;
        const auto is_far = [&](unsigned core) { return std::count(wanted.begin(), wanted.end(), core) == 0; };
        std::vector<unsigned> order = free;
        std::stable_partition(order.begin(), order.end(), [&](unsigned core) { return wanted.empty() || !is_far(core); });
        order.resize(std::min(order.size(), static_cast<size_t>(threads)));
        for (const unsigned core : order) std::erase(free, core);
        mine = std::move(order);
    }
    return mine;
}

Binding bind_this_process(int local_rank, int ranks_on_node, int threads, std::vector<std::string> gpus) {
    const Topology topology = load_topology(!gpus.empty());
    const Bitmap allowed = allowed_set(topology.get());
    const std::vector<unsigned> cores = one_thread_of_each_core(topology.get(), allowed.get());
    Binding binding;
    binding.allowed = to_text(allowed.get());
    binding.allowed_cores = cores_within(cpu_quota(), cores.size());
    const auto needed = [&] { return static_cast<int64_t>(std::max(ranks_on_node, local_rank + 1)) * threads; };
    // Where all ranks of the node fit into this rank's cores, these may be everybody's.
    if (needed() > binding.allowed_cores && has_cores_of_its_own(topology.get(), allowed.get(), ranks_on_node) &&
        cores_within(cpu_quota(), cores.size() * static_cast<size_t>(ranks_on_node)) >= ranks_on_node * threads) {
        if (static_cast<size_t>(local_rank) < gpus.size()) gpus = {gpus[static_cast<size_t>(local_rank)]};
        local_rank = 0, ranks_on_node = 1;
    }
    binding.oversubscribed = needed() > binding.allowed_cores;
    const auto near = near_devices(topology.get(), gpus, cores);
    if (static_cast<size_t>(local_rank) < gpus.size()) {
        binding.gpu = gpus[static_cast<size_t>(local_rank)];
        binding.near_gpu = to_text(bitmap_of(near[static_cast<size_t>(local_rank)]).get());
    }
    if (!binding.oversubscribed) {
        const Bitmap mine = bitmap_of(cores_of_rank(cores, near, local_rank, threads));
        binding.bound =
            hwloc_set_cpubind(topology.get(), mine.get(), HWLOC_CPUBIND_PROCESS) == 0 || set_affinity(mine.get());
    }
    binding.cpuset = to_text(allowed_set(topology.get()).get());
    return binding;
}

Binding bind_again(const Binding& before, int local_rank, int ranks_on_node, int threads, std::vector<std::string> gpus) {
    const Bitmap allowed = make_bitmap();
    if (before.bound && hwloc_bitmap_list_sscanf(allowed.get(), before.allowed.c_str()) == 0) set_affinity(allowed.get());
    return bind_this_process(local_rank, ranks_on_node, threads, std::move(gpus));
}

std::string current_cpuset() {
    const Topology topology = load_topology();
    return to_text(allowed_set(topology.get()).get());
}

void flush_denormals() noexcept {
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040u);  // flush to zero, denormals are zero
#elif defined(__aarch64__)
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" ::"r"(control | (uint64_t{1} << 24)));
#endif
}

}  // namespace xbench
