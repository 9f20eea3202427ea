// What launchers say about their processes, and MPI's count against it.
#include "core/launched.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"

namespace xbench {
namespace {

const std::vector<const char*> names{"OMPI_COMM_WORLD_SIZE",
                                     "OMPI_COMM_WORLD_RANK",
                                     "OMPI_COMM_WORLD_LOCAL_SIZE",
                                     "OMPI_COMM_WORLD_LOCAL_RANK",
                                     "MV2_COMM_WORLD_SIZE",
                                     "PMI_SIZE",
                                     "PMI_RANK",
                                     "MPI_LOCALNRANKS",
                                     "MPI_LOCALRANKID",
                                     "FLUX_JOB_SIZE",
                                     "JSM_NAMESPACE_SIZE",
                                     "SLURM_STEP_NUM_TASKS",
                                     "SLURM_PROCID",
                                     "SLURM_NTASKS",
                                     "SLURM_STEP_TASKS_PER_NODE",
                                     "SLURM_LOCALID",
                                     "PMIX_RANK",
                                     "WORLD_SIZE",
                                     "RANK",
                                     "LOCAL_WORLD_SIZE",
                                     "LOCAL_RANK",
                                     "XBENCH_COPY"};

class LaunchedBy : public testing::Test {
protected:
    void SetUp() override {
        for (const char* name : names)
            if (const char* value = std::getenv(name)) before_[name] = value;
        only({});
    }
    void TearDown() override { only(before_); }
    static void only(const std::map<std::string, std::string>& variables) {
        for (const char* name : names) unsetenv(name);
        for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
    }

private:
    std::map<std::string, std::string> before_;
};

TEST_F(LaunchedBy, EachLauncher) {
    struct Case {
        std::map<std::string, std::string> variables;
        std::string by;
        int ranks, rank, on_node, local;
    };
    const std::vector<Case> cases{
        {{}, "", 1, 0, 1, 0},
        {{{"OMPI_COMM_WORLD_SIZE", "1"}}, "OMPI_COMM_WORLD_SIZE", 1, 0, 1, 0},
        {{{"PMI_SIZE", "4"}, {"PMI_RANK", "3"}, {"MPI_LOCALNRANKS", "2"}, {"MPI_LOCALRANKID", "1"}}, "PMI_SIZE", 4, 3, 2, 1},
        {{{"SLURM_STEP_NUM_TASKS", "9"},
          {"SLURM_PROCID", "8"},
          {"SLURM_STEP_TASKS_PER_NODE", "4(x2),1"},
          {"SLURM_LOCALID", "0"}},
         "SLURM_STEP_NUM_TASKS",
         9,
         8,
         4,
         0},
        // srun --mpi=pmi2: the place on the node is Slurm's to say
        {{{"PMI_SIZE", "4"},
          {"PMI_RANK", "3"},
          {"SLURM_STEP_NUM_TASKS", "4"},
          {"SLURM_PROCID", "3"},
          {"SLURM_STEP_TASKS_PER_NODE", "2(x2)"},
          {"SLURM_LOCALID", "1"}},
         "SLURM_STEP_NUM_TASKS",
         4,
         3,
         2,
         1},
        // MPICH's mpiexec inside a Slurm step, with as many ranks as it has tasks
        {{{"PMI_SIZE", "2"},
          {"PMI_RANK", "1"},
          {"MPI_LOCALNRANKS", "2"},
          {"MPI_LOCALRANKID", "1"},
          {"SLURM_STEP_NUM_TASKS", "2"},
          {"SLURM_PROCID", "0"},
          {"SLURM_LOCALID", "0"}},
         "PMI_SIZE",
         2,
         1,
         2,
         1},
        // mpirun inside a Slurm step: the step's tasks are its daemons
        {{{"SLURM_STEP_NUM_TASKS", "2"}, {"OMPI_COMM_WORLD_SIZE", "8"}, {"OMPI_COMM_WORLD_RANK", "5"}},
         "OMPI_COMM_WORLD_SIZE",
         8,
         5,
         1,
         0},
        // a batch script's own shell is no step
        {{{"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}}, "", 1, 0, 1, 0},
        {{{"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "2"}}, "SLURM_PROCID", 8, 2, 1, 0},
        {{{"PMIX_RANK", "0"}}, "PMIX_RANK", 1, 0, 1, 0},
        {{{"PMI_SIZE", "many"}}, "", 1, 0, 1, 0},
        {{{"WORLD_SIZE", "4"}, {"RANK", "3"}, {"LOCAL_WORLD_SIZE", "2"}, {"LOCAL_RANK", "1"}}, "WORLD_SIZE", 4, 3, 2, 1},
        {{{"WORLD_SIZE", "4"}}, "", 1, 0, 1, 0},
    };
    for (const Case& c : cases) {
        only(c.variables);
        const Launched found = launched();
        EXPECT_EQ(found.by, c.by);
        EXPECT_EQ(found.ranks, c.ranks) << c.by;
        EXPECT_EQ(found.rank, c.rank) << c.by;
        EXPECT_EQ(found.on_node, c.on_node) << c.by;
        EXPECT_EQ(found.local, c.local) << c.by;
    }
}

TEST_F(LaunchedBy, CopiesOfASerialRun) {
    const auto copies = [&](const char* value) {
        only({{"XBENCH_COPY", value}});
        const Copies found = copies_from_environment();
        return std::pair(found.index, found.count);
    };
    EXPECT_EQ(copies("1/4"), (std::pair{1, 4}));
    EXPECT_EQ(copies("0/1"), (std::pair{0, 1}));
    for (const char* wrong : {"", "1", "4/4", "-1/2", "x/y"}) EXPECT_EQ(copies(wrong), (std::pair{0, 1})) << wrong;
    only({});
    EXPECT_EQ(copies_from_environment().count, 1);
}

TEST_F(LaunchedBy, WhoSpeaksToMpi) {
    only({{"SLURM_STEP_NUM_TASKS", "2"}});
    EXPECT_FALSE(has_mpi_launcher());
    only({{"SLURM_STEP_NUM_TASKS", "2"}, {"PMIX_RANK", "1"}});
    EXPECT_TRUE(has_mpi_launcher());
    only({{"SLURM_STEP_NUM_TASKS", "1"}, {"PMIX_RANK", "0"}, {"WORLD_SIZE", "4"}, {"RANK", "3"}});  // torchrun in a step
    EXPECT_FALSE(has_mpi_launcher());
}

TEST_F(LaunchedBy, FewerInMpiIsRefused) {
    only({{"SLURM_STEP_NUM_TASKS", "2"}});
    EXPECT_NO_THROW(check_world(launched(), 2));
    try {
        check_world(launched(), 1);
        FAIL() << "two processes that are each alone were taken";
    } catch (const UsageError& error) {
        EXPECT_STREQ(
            error.what(),
            "MPI: srun started 2 processes (SLURM_STEP_NUM_TASKS), but MPI sees 1: they do not know each other; use "
            "srun --mpi=pmix (`srun --mpi=list` shows what there is), or mpirun inside the allocation");
    }
    only({{"PMI_SIZE", "2"}});
    EXPECT_THROW(check_world(launched(), 1), UsageError);
    only({});
    EXPECT_NO_THROW(check_world(launched(), 1));
}

}  // namespace
}  // namespace xbench
