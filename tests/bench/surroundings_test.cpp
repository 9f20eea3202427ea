// What doctor says about a job's surroundings, from variables and files that are handed in.
#include "bench/base/surroundings.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <optional>

#include "bench/base/machine_state.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;
using Variables = std::map<std::string, std::string>;

class SurroundingsTest : public testing::Test {
protected:
    void SetUp() override {
        root_ = fs::path(testing::TempDir()) / fmt::format("xb_surroundings_{}", getpid());
        fs::remove_all(root_);
        fs::create_directories(root_);
        here_.root = root_;
        here_.cores = here_.allowed_cores = 4;
        here_.allowed_cpus = "0-3";
        here_.mpirun_version = "mpirun (Open MPI) 4.1.4";
        here_.shm_total_bytes = here_.shm_free_bytes = int64_t{8} << 30;
        here_.shm_wanted_bytes = int64_t{1} << 30;
        with({});
    }
    void TearDown() override { fs::remove_all(root_); }
    void write(const std::string& file, const std::string& text) {
        fs::create_directories((root_ / file).parent_path());
        std::ofstream(root_ / file) << text;
    }
    // Two hardware threads a core, cpu and cpu + 4.
    void write_siblings() {
        for (int cpu = 0; cpu < 8; ++cpu)
            write(fmt::format("sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu),
                  fmt::format("{},{}\n", cpu % 4, cpu % 4 + 4));
    }
    void with(const Variables& variables) {
        here_.variable = [variables](const std::string& name) {
            const auto found = variables.find(name);
            return found == variables.end() ? std::string() : found->second;
        };
    }
    std::optional<Finding> finding(const std::string& what) const {
        for (const Finding& found : examine_surroundings(here_))
            if (found.what == what) return found;
        return std::nullopt;
    }
    std::string level(const std::string& what) const {
        const auto found = finding(what);
        return found ? found->level : "none";
    }

    fs::path root_;
    Surroundings here_;
};

TEST_F(SurroundingsTest, AQuietMachineHasNothingWrong) {
    for (const Finding& found : examine_surroundings(here_))
        EXPECT_EQ(found.level, "ok") << found.what << ": " << found.value;
}

TEST_F(SurroundingsTest, SmallJobsOnOneCore) {
    EXPECT_EQ(level("mpirun's binding"), "none");  // mpirun does not run here
    here_.cpus_of_small_job = "0";
    EXPECT_EQ(level("mpirun's binding"), "warn");
    EXPECT_THAT(finding("mpirun's binding")->remedy, testing::HasSubstr("--bind-to none"));
    here_.cpus_of_small_job = "0-3";
    EXPECT_EQ(level("mpirun's binding"), "ok");
    write_siblings();
    here_.allowed_cpus = "0-7";
    here_.cpus_of_small_job = "0,4";  // two threads of one core
    EXPECT_EQ(level("mpirun's binding"), "warn");
    here_.cpus_of_small_job = "0,1";
    EXPECT_EQ(level("mpirun's binding"), "ok");
    here_.allowed_cpus = here_.cpus_of_small_job = "2";  // there is no more to give
    EXPECT_EQ(level("mpirun's binding"), "ok");
    with({{"OMPI_COMM_WORLD_SIZE", "2"}});  // inside a job its own binding counts
    EXPECT_EQ(level("mpirun's binding"), "warn");
    here_.cores = 1;
    EXPECT_EQ(level("mpirun's binding"), "none");
}

TEST_F(SurroundingsTest, TasksOfSlurmThatMpiDoesNotKnow) {
    const struct {
        Variables variables;
        const char *srun, *level;
    } cases[] = {
        {{}, "", "none"},
        {{{"SLURM_NTASKS", "1"}}, "none\npmi2\n", "none"},
        {{{"SLURM_NTASKS", "4"}, {"SLURM_STEP_NUM_TASKS", "4"}}, "none pmix", "wrong"},
        {{{"SLURM_NTASKS", "4"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"PMIX_RANK", "0"}}, "none pmix", "ok"},
        {{{"SLURM_NTASKS", "4"}, {"SLURM_STEP_NUM_TASKS", "1"}, {"OMPI_COMM_WORLD_SIZE", "4"}}, "none", "ok"},
        {{{"SLURM_NTASKS", "4"}}, "MPI plugin types are...\n\tnone\n\tpmi2\n", "warn"},  // in the batch script
        {{{"SLURM_NTASKS", "4"}}, "MPI plugin types are...\n\tnone\n\tpmix\n\tpmix_v4\n", "ok"},
        {{{"SLURM_NTASKS", "4"}}, "", "ok"},
    };
    for (const auto& c : cases) {
        with(c.variables);
        here_.srun_mpi_types = c.srun;
        EXPECT_EQ(level("SLURM_NTASKS"), c.level) << testing::PrintToString(c.variables) << c.srun;
    }
}

TEST_F(SurroundingsTest, Quotas) {
    EXPECT_EQ(level("CPU quota"), "none");
    here_.quota_cores = 4;
    EXPECT_EQ(level("CPU quota"), "none");
    here_.quota_cores = 1.5;
    EXPECT_EQ(level("CPU quota"), "warn");
    EXPECT_EQ(finding("CPU quota")->value, "1.5 of 4 cores in each period, which is no whole number");
    here_.quota_cores = 2;
    EXPECT_EQ(finding("CPU quota")->value, "2 of 4 cores in each period");
}

TEST_F(SurroundingsTest, SettingsOfTheMachine) {
    const char* thp = "sys/kernel/mm/transparent_hugepage/enabled";
    const auto governor = [](int cpu) { return fmt::format("sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", cpu); };
    write(thp, "always madvise [never]\n");
    write("proc/sys/vm/nr_hugepages", "12\n");
    EXPECT_EQ(level("huge pages"), "warn");
    EXPECT_EQ(finding("huge pages")->value, "transparent: never; 12 reserved");
    write(thp, "always [madvise] never\n");
    EXPECT_EQ(level("huge pages"), "ok");
    write("sys/devices/system/cpu/present", "0-3\n");
    write(governor(0), "performance\n");
    write(governor(1), "performance\n");
    EXPECT_EQ(level("governors"), "none");
    write(governor(3), "powersave\n");  // 2 is off line
    EXPECT_EQ(finding("governors")->value, "performance, powersave on different cores");
    write("sys/devices/system/cpu/intel_pstate/no_turbo", "0\n");
    EXPECT_EQ(level("turbo"), "note");
    write("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n");
    EXPECT_EQ(level("turbo"), "none");
    write("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
    EXPECT_EQ(level("clock"), "warn");
    write("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
    EXPECT_EQ(level("clock"), "none");
    for (const auto& [setting, said] : {std::pair{"0\n", "none"}, {"1\n", "note"}, {"2\n", "note"}}) {
        write("proc/sys/kernel/numa_balancing", setting);
        EXPECT_EQ(level("NUMA balancing"), said) << setting;
    }
}

TEST_F(SurroundingsTest, HalvesOfCores) {
    write_siblings();
    here_.allowed_cpus = "0-7";
    EXPECT_EQ(level("SMT siblings"), "none");
    here_.allowed_cpus = "0-1,4";
    EXPECT_EQ(level("SMT siblings"), "warn");
    EXPECT_THAT(finding("SMT siblings")->value, testing::StartsWith("cpus 5 are"));
}

TEST_F(SurroundingsTest, SharedMemory) {
    EXPECT_EQ(level("/dev/shm"), "ok");
    here_.shm_free_bytes = int64_t{64} << 20;
    here_.shm_total_bytes = int64_t{64} << 20;
    EXPECT_EQ(level("/dev/shm"), "warn");
    EXPECT_EQ(finding("/dev/shm")->value, "64 MiB free of 64 MiB");
    here_.shm_total_bytes = -1;
    EXPECT_EQ(finding("/dev/shm")->value, "not there");
}

TEST_F(SurroundingsTest, AContainersMpiAndTheHostsLauncher) {
    EXPECT_EQ(level("launcher and MPI"), "none");
    with({{"OMPI_COMM_WORLD_SIZE", "2"}});
    EXPECT_EQ(level("launcher and MPI"), "ok");
    with({{"PMI_SIZE", "2"}, {"PMI_RANK", "0"}});
    EXPECT_EQ(level("launcher and MPI"), "wrong");
    EXPECT_THAT(finding("launcher and MPI")->remedy, testing::HasSubstr("the mpirun of this MPI"));
    write(".dockerenv", "");
    EXPECT_EQ(finding("container")->value, "docker");
    EXPECT_THAT(finding("launcher and MPI")->value, testing::HasSubstr("MPI in this container: mpirun (Open MPI) 4.1.4"));
    EXPECT_THAT(finding("launcher and MPI")->remedy, testing::HasSubstr("inside the container"));
    here_.mpirun_version = "HYDRA build details:";
    EXPECT_EQ(level("launcher and MPI"), "ok");
    with({{"OMPI_COMM_WORLD_SIZE", "2"}});
    EXPECT_EQ(level("launcher and MPI"), "wrong");
    fs::remove(root_ / ".dockerenv");
    with({{"APPTAINER_CONTAINER", "/img.sif"}});
    EXPECT_EQ(finding("container")->value, "apptainer");
}

TEST_F(SurroundingsTest, SettingsAsJson) {
    write("sys/devices/system/cpu/present", "0\n");
    write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    write("sys/devices/system/cpu/cpufreq/boost", "0\n");
    write("run/.containerenv", "");
    EXPECT_EQ(to_json(machine_state(root_)), (Json{{"governors", {"performance"}},
                                                   {"scaling_driver", nullptr},
                                                   {"turbo", "off"},
                                                   {"transparent_hugepages", nullptr},
                                                   {"hugepages_reserved", 0},
                                                   {"clocksource", nullptr},
                                                   {"numa_balancing", nullptr},
                                                   {"container", "podman"}}));
}

}  // namespace
}  // namespace xbench
