// Binding, instruction sets, rank variables, denormals, digests and the progress line.
#include "core/hardware.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "core/error.h"
#include "core/hash.h"
#include "core/progress.h"

namespace xbench {
namespace {

// Sets an environment variable for the length of a test.
class Environment {
public:
    Environment(const char* name, const char* value) : name_(name) {
        if (const char* before = std::getenv(name)) before_ = before, had_ = true;
        if (value == nullptr)
            unsetenv(name);
        else
            setenv(name, value, 1);
    }
    ~Environment() {
        if (had_)
            setenv(name_, before_.c_str(), 1);
        else
            unsetenv(name_);
    }

private:
    const char* name_;
    std::string before_;
    bool had_ = false;
};

// Binding changes the whole process; this gives the affinity back.
class KeepsAffinity {
public:
    KeepsAffinity() { sched_getaffinity(0, sizeof set_, &set_); }
    ~KeepsAffinity() { sched_setaffinity(0, sizeof set_, &set_); }

private:
    cpu_set_t set_{};
};

TEST(Hardware, KnowsThisMachine) {
    const Hardware hardware = query_hardware();
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    EXPECT_EQ(hardware.allowed_threads, CPU_COUNT(&set));
    EXPECT_GE(hardware.allowed_threads, hardware.allowed_cores);
    EXPECT_GE(hardware.allowed_cores, 1);
    EXPECT_LE(hardware.allowed_cores, hardware.cores);
    EXPECT_FALSE(hardware.allowed_cpuset.empty());
    if (hardware.memory_bytes > 0) {  // 0: no /proc
        EXPECT_GT(hardware.memory_bytes, hardware.memory_available_bytes);
    }
    EXPECT_FALSE(hardware.host.empty());
}

TEST(Hardware, InstructionSetCanBeLoweredOnly) {
    {
        const Environment none("XBENCH_ISA", nullptr);
        EXPECT_EQ(usable_isa(), best_isa());
    }
    {
        const Environment forced("XBENCH_ISA", "portable");
        EXPECT_EQ(usable_isa(), Isa::portable);
    }
    {
        const Environment unknown("XBENCH_ISA", "avx3");
        try {
            usable_isa();
            FAIL() << "avx3 was taken";
        } catch (const UsageError& error) {
            EXPECT_STREQ(error.what(), "XBENCH_ISA: unknown instruction set \"avx3\"; did you mean avx2?");
        }
    }
    if (best_isa() != Isa::avx512_bf16) {
        const Environment higher("XBENCH_ISA", "avx512_bf16");
        EXPECT_THROW(usable_isa(), UsageError);
    }
}

TEST(Hardware, LocalRankPrefersOpenMpi) {
    const Environment none_size("OMPI_COMM_WORLD_LOCAL_SIZE", nullptr), none("OMPI_COMM_WORLD_LOCAL_RANK", nullptr);
    const Environment none_steps("SLURM_STEP_NUM_TASKS", nullptr), none_world("OMPI_COMM_WORLD_SIZE", nullptr);
    const Environment slurm("SLURM_LOCALID", "3"), tasks("SLURM_STEP_TASKS_PER_NODE", "4(x2),1");
    EXPECT_EQ(local_rank_from_environment(), 3);
    EXPECT_EQ(ranks_on_node_from_environment(), 4);
    EXPECT_EQ(ranks_from_environment(), 1);
    const Environment size("OMPI_COMM_WORLD_SIZE", "6");
    EXPECT_EQ(ranks_from_environment(), 6);
    const Environment mpi("OMPI_COMM_WORLD_LOCAL_RANK", "1"), mpi_size("OMPI_COMM_WORLD_LOCAL_SIZE", "2");
    EXPECT_EQ(local_rank_from_environment(), 1);
    EXPECT_EQ(ranks_on_node_from_environment(), 2);
}

TEST(Hardware, RanksGetCoresOfTheirOwn) {
    const int cores = query_hardware().allowed_cores;
    std::vector<std::string> seen;
    for (int rank = 0; rank < cores; ++rank) {
        const KeepsAffinity keeps;
        const Binding binding = bind_this_process(rank, cores, 1);
        EXPECT_TRUE(binding.bound);
        EXPECT_FALSE(binding.oversubscribed);
        EXPECT_EQ(binding.allowed_cores, cores);
        EXPECT_EQ(std::count(seen.begin(), seen.end(), binding.cpuset), 0) << "two ranks on core " << binding.cpuset;
        seen.push_back(binding.cpuset);
        cpu_set_t inherited;  // a thread that starts now stays there
        std::thread([&] { sched_getaffinity(0, sizeof inherited, &inherited); }).join();
        EXPECT_EQ(CPU_COUNT(&inherited), 1);
    }
}

TEST(Hardware, TooManyRanksAreNotBound) {
    const KeepsAffinity keeps;
    const std::string before = current_cpuset();
    const int cores = query_hardware().allowed_cores;
    const Binding binding = bind_this_process(0, cores + 1, 1);
    EXPECT_FALSE(binding.bound);
    EXPECT_TRUE(binding.oversubscribed);
    EXPECT_EQ(binding.cpuset, before);
}

TEST(Hardware, DenormalsBecomeZero) {
#if defined(__x86_64__) || defined(__aarch64__)
    volatile float result = 1;
    std::thread([&] {
        flush_denormals();
        volatile float smallest = std::numeric_limits<float>::min();
        result = smallest * 0.5f;
    }).join();
    EXPECT_EQ(result, 0.0f);
    volatile float smallest = std::numeric_limits<float>::min();
    EXPECT_NE(smallest * 0.5f, 0.0f) << "the setting left its thread";
#endif
}

TEST(Hash, IsXxh3OfAllPieces) {
    EXPECT_EQ(hash_hex(""), "99aa06d3014798d86001c324468d497f");  // the published value of the empty input
    Hash pieces;
    pieces.add("hello ");
    pieces.add("world", 5);
    EXPECT_EQ(pieces.hex(), hash_hex("hello world"));
    EXPECT_NE(pieces.hex(), hash_hex("hello worle"));
    EXPECT_EQ(pieces.hex().size(), 32u);
}

// Two GPUs on the second of two nodes of four cores: their ranks share its cores, and a third rank with the first node's GPU
// has that node for itself. Nobody takes another's core.
TEST(Hardware, RanksTakeCoresOfTheirGpusNode) {
    using Cores = std::vector<unsigned>;
    const Cores cores{0, 1, 2, 3, 4, 5, 6, 7}, first{0, 1, 2, 3}, second{4, 5, 6, 7};
    const std::vector<Cores> near{second, second, first};
    EXPECT_EQ(cores_of_rank(cores, near, 0, 2), (Cores{4, 5}));
    EXPECT_EQ(cores_of_rank(cores, near, 1, 2), (Cores{6, 7}));
    EXPECT_EQ(cores_of_rank(cores, near, 2, 2), (Cores{0, 1}));
    EXPECT_EQ(cores_of_rank(cores, near, 1, 3), (Cores{7, 0, 1}));  // what is left of its own, then others
    EXPECT_EQ(cores_of_rank(cores, {}, 3, 2), (Cores{6, 7}));       // nobody wants anything: in their order
    EXPECT_EQ(cores_of_rank(cores, {{}, first}, 1, 2), (Cores{2, 3}));
}

// Two packages of one core, each with a GPU, in hwloc's form: the machine that nobody has here. The cores are two that this
// process may use, so that it can be bound to them.
std::string topology_of_two_nodes(int first, int second) {
    const auto node = [](int number, int cpu, int gpu_bus) {
        const std::string set = fmt::format("0x{:08x}", 1u << cpu), nodes = fmt::format("0x{:08x}", 1u << number);
        const std::string sets =
            fmt::format(R"(cpuset="{0}" complete_cpuset="{0}" nodeset="{1}" complete_nodeset="{1}")", set, nodes);
        const int id = 100 * (number + 1);
        return fmt::format(
            R"(<object type="Package" os_index="{0}" {1} gp_index="{2}">
                 <object type="NUMANode" os_index="{0}" {1} gp_index="{3}" local_memory="1048576"/>
                 <object type="Core" os_index="{0}" {1} gp_index="{4}">
                   <object type="PU" os_index="{5}" {1} gp_index="{6}"/>
                 </object>
                 <object type="Bridge" gp_index="{7}" bridge_type="0-1" depth="0" bridge_pci="0000:[{8:02x}-{8:02x}]">
                   <object type="PCIDev" gp_index="{9}" pci_busid="0000:{8:02x}:00.0" pci_type="0302 [10de:2330] [10de:16c1] a1"
                           pci_link_speed="15.75"/>
                 </object>
               </object>)",
            number, sets, id, id + 1, id + 2, cpu, id + 3, id + 4, gpu_bus, id + 5);
    };
    const std::string all = fmt::format("0x{:08x}", (1u << first) | (1u << second));
    return fmt::format(R"(<?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE topology SYSTEM "hwloc2.dtd">
        <topology version="2.0">
          <object type="Machine" os_index="0" cpuset="{0}" complete_cpuset="{0}" allowed_cpuset="{0}" nodeset="0x00000003"
                  complete_nodeset="0x00000003" allowed_nodeset="0x00000003" gp_index="1">{1}{2}</object>
        </topology>)",
                       all, node(0, first, 0x01), node(1, second, 0x41));
}

TEST(Hardware, RanksAreBoundBesideTheirGpus) {
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    std::vector<int> cpus;
    for (int cpu = 0; cpu < 31; ++cpu)
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    if (cpus.size() < 2 || query_hardware().allowed_cores < 2) GTEST_SKIP() << "fewer than two cores";
    const std::string file = testing::TempDir() + "/xb_topology_" + std::to_string(getpid()) + ".xml";
    std::ofstream(file) << topology_of_two_nodes(cpus[0], cpus[1]);
    const Environment xml("HWLOC_XMLFILE", file.c_str()), here("HWLOC_THISSYSTEM", "1");
    ASSERT_EQ(query_hardware().numa_nodes, 2) << "hwloc did not read " << file;
    const std::string first = std::to_string(cpus[0]), second = std::to_string(cpus[1]);
    const std::vector<std::string> gpus{"0000:41:00.0", "0000:01:00.0"};  // rank 0's is on the second node
    for (const int rank : {0, 1}) {
        const KeepsAffinity keeps;
        const Binding binding = bind_this_process(rank, 2, 1, gpus);
        EXPECT_TRUE(binding.bound);
        EXPECT_EQ(binding.cpuset, rank == 0 ? second : first);
        EXPECT_EQ(binding.gpu, gpus[static_cast<size_t>(rank)]);
        EXPECT_EQ(binding.near_gpu, binding.cpuset);
    }
    const KeepsAffinity keeps;
    const Binding before = bind_this_process(0, 2, 1);
    EXPECT_EQ(before.cpuset, first) << "without GPUs: in the machine's order";
    EXPECT_EQ(before.gpu, "");
    const Binding again = bind_again(before, 0, 2, 1, gpus);  // and once the ranks have told each other
    EXPECT_EQ(again.cpuset, second);
    EXPECT_EQ(again.gpu, gpus[0]);
    const Binding unknown = bind_this_process(0, 1, 1, {"0000:99:00.0"});  // a GPU that hwloc does not see
    EXPECT_EQ(unknown.near_gpu, "");
    EXPECT_EQ(unknown.gpu, "0000:99:00.0");
    std::filesystem::remove(file);
}

TEST(Progress, Durations) {
    EXPECT_EQ(duration_text(-1), "0 s");
    EXPECT_EQ(duration_text(47.6), "48 s");
    EXPECT_EQ(duration_text(200), "3 min 20 s");
    EXPECT_EQ(duration_text(7500), "2 h 05 min");
}

TEST(Progress, WritesPlainLinesOffATerminal) {
    std::FILE* file = std::tmpfile();
    {
        ProgressLine progress(file);
        progress.update(1, 4, "epoch 1", 30);
        for (int i = 0; i < 1000; ++i) progress.update(2, 4, "too soon", 20);  // not one line a call
        progress.note("kept");
        progress.update(4, 4, "done");
        ProgressLine quiet(file, true);
        quiet.update(4, 4, "unseen");
    }
    std::rewind(file);
    std::string text(4096, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    EXPECT_EQ(text, " 25%  30 s left  epoch 1\nkept\n100%  done\n");
}

}  // namespace
}  // namespace xbench
