// Binding, instruction sets, rank variables, denormals, digests and the progress line.
#include "core/hardware.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <cstdlib>
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
