// Command lines of the launchers, child processes with failures and time limits.
#include "bench/sweep/launch.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace xbench {
namespace {

std::string text_of(const Launch& launch) { return shell_text(launch.command); }

LaunchRequest request(int ranks, int threads) {
    return {.needs_launcher = true, .ranks = ranks, .threads = threads, .program = {"/x/xbench", "train"}};
}

std::filesystem::path log_file() { return testing::TempDir() + "/xb_launch_" + std::to_string(getpid()) + ".log"; }

Outcome shell(const std::string& script, double timeout = 0) {
    return run_process({{"/bin/sh", "-c", script}, {}}, log_file(), timeout);
}

TEST(Launch, SrunTakesPmixWhereThereIsOne) {
    EXPECT_EQ(slurm_mpi_type("MPI plugin types are...\n\tcray_shasta\n\tnone\n\tpmi2\n\tpmix\nspecific pmix plugin versions "
                             "available: pmix_v3,pmix_v4\n"),
              "pmix");
    EXPECT_EQ(slurm_mpi_type("srun: MPI types are...\nsrun: none\nsrun: pmi2\n"), "");
    EXPECT_EQ(slurm_mpi_type("srun: pmix_v4\nsrun: none\n"), "pmix_v4");
    EXPECT_EQ(slurm_mpi_type(""), "");
}

TEST(Launch, SerialIsAPlainChild) {
    LaunchRequest serial = request(1, 2);
    serial.needs_launcher = false;
    const Launch launch = make_launch(serial, Launcher::mpirun);
    EXPECT_EQ(text_of(launch), "/x/xbench train");
    EXPECT_EQ(launch.environment.at("OMP_NUM_THREADS"), "2");
}

TEST(Launch, MpirunBindsNothing) {
    unsetenv("XBENCH_ISA");
    EXPECT_EQ(text_of(make_launch(request(2, 1), Launcher::mpirun)), "mpirun -n 2 --bind-to none /x/xbench train");
    LaunchRequest many = request(8, 1);
    many.oversubscribe = true;
    const Launch launch = make_launch(many, Launcher::mpirun);
    EXPECT_EQ(text_of(launch), "mpirun -n 8 --bind-to none --oversubscribe /x/xbench train");
    EXPECT_EQ(launch.environment.at("OMP_WAIT_POLICY"), "passive");
    EXPECT_EQ(launch.environment.count("OMPI_ALLOW_RUN_AS_ROOT"), geteuid() == 0 ? 1u : 0u);
    setenv("XBENCH_ISA", "avx2", 1);
    EXPECT_EQ(text_of(make_launch(request(2, 1), Launcher::mpirun)),
              "mpirun -n 2 --bind-to none -x XBENCH_ISA /x/xbench train");
    unsetenv("XBENCH_ISA");
}

TEST(Launch, SrunBindsNothing) {
    EXPECT_EQ(text_of(make_launch(request(4, 1), Launcher::srun)),
              "srun -n 4 --mpi=pmix --cpu-bind=none --kill-on-bad-exit=1 /x/xbench train");
    EXPECT_EQ(text_of(make_launch(request(2, 3), Launcher::srun)),
              "srun -n 2 --mpi=pmix --cpu-bind=none --cpus-per-task=3 --kill-on-bad-exit=1 /x/xbench train");
}

TEST(Launch, LauncherIsChosenByWhatIsThere) {
    const std::string path = std::getenv("PATH"), folder = testing::TempDir() + "/xb_path_" + std::to_string(getpid());
    std::filesystem::create_directories(folder);
    const auto provide = [&](const char* name) {
        const std::string file = folder + "/" + name;
        std::ofstream(file) << "#!/bin/sh\n";
        std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    };
    setenv("PATH", folder.c_str(), 1);
    unsetenv("SLURM_JOB_ID");
    std::filesystem::remove(folder + "/mpirun");
    std::filesystem::remove(folder + "/srun");
    for (const char* wanted : {"auto", "mpirun"})
        EXPECT_EQ(choose_launcher(wanted).reason, "mpirun was not found on PATH; install openmpi-bin");
    EXPECT_EQ(choose_launcher("auto").launcher, Launcher::local);
    EXPECT_EQ(choose_launcher("mpirun").launcher, Launcher::mpirun);
    EXPECT_EQ(choose_launcher("srun").reason, "srun was not found on PATH");
    EXPECT_EQ(choose_launcher("local").reason, "");
    provide("mpirun");
    EXPECT_EQ(choose_launcher("auto").launcher, Launcher::mpirun);
    EXPECT_EQ(choose_launcher("auto").reason, "");
    provide("srun");
    EXPECT_EQ(choose_launcher("auto").launcher, Launcher::mpirun);  // there is no allocation
    setenv("SLURM_JOB_ID", "5", 1);
    EXPECT_EQ(choose_launcher("auto").launcher, Launcher::srun);
    EXPECT_EQ(choose_launcher("mpirun").launcher, Launcher::mpirun);
    unsetenv("SLURM_JOB_ID");
    setenv("PATH", path.c_str(), 1);
    std::filesystem::remove_all(folder);
}

TEST(Launch, QuotingForAShell) { EXPECT_EQ(shell_text({"a", "b c", "it's", "", "x=1,2"}), "a 'b c' 'it'\\''s' '' x=1,2"); }

TEST(RunProcess, Success) {
    const Outcome outcome = shell("echo hello; echo oops >&2");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.reason, "");
    std::ifstream file(log_file());
    EXPECT_EQ(std::string((std::istreambuf_iterator<char>(file)), {}), "hello\noops\n");
}

TEST(RunProcess, FailuresCarryTheTellingLine) {
    EXPECT_EQ(shell("echo first; echo last; exit 3").reason, "exit code 3: last");
    EXPECT_EQ(
        shell("echo 'xbench train, rank 1: no such file'; echo ----------; echo 'mpirun has exited'; echo -------; exit 1")
            .reason,
        "exit code 1: xbench train, rank 1: no such file");
    EXPECT_EQ(shell("echo 'c.json:1:2 /x: wrong'; echo ------; echo 'Primary job terminated'; echo ------; echo 'mpirun "
                    "noticed'; exit 2")
                  .reason,
              "exit code 2: c.json:1:2 /x: wrong");
    EXPECT_EQ(shell("echo ------; echo 'There are not enough slots'; echo ------; exit 1").reason,
              "exit code 1: There are not enough slots");
    EXPECT_EQ(shell("exit 2").reason, "exit code 2: no output");
    EXPECT_EQ(shell("printf 'progress 10%%\\rprogress 20%%\\rdied\\n'; exit 1").reason, "exit code 1: died");
    const Outcome killed = shell("echo x; kill -9 $$");
    EXPECT_EQ(killed.exit_code, 128 + 9);
    EXPECT_EQ(killed.reason, "killed by signal 9: x");
    EXPECT_EQ(run_process({{"/no/such/program"}, {}}, log_file(), 0).reason, "/no/such/program was not found");
}

TEST(RunProcess, EnvironmentIsAddedAndReplaced) {
    setenv("XB_LAUNCH_TEST", "old", 1);
    const Outcome outcome = run_process({{"/bin/sh", "-c", "test \"$XB_LAUNCH_TEST$XB_OTHER\" = newmore"},
                                         {{"XB_LAUNCH_TEST", "new"}, {"XB_OTHER", "more"}}},
                                        log_file(), 0);
    EXPECT_EQ(outcome.reason, "");
    unsetenv("XB_LAUNCH_TEST");
}

// The grandchild keeps the whole group alive; all of it must be gone when run_process returns.
TEST(RunProcess, TimeLimitEndsTheWholeGroup) {
    const std::string pid_file = testing::TempDir() + "/xb_grandchild_" + std::to_string(getpid());
    const Outcome outcome = shell("sleep 60 & echo $! > " + pid_file + "; wait", 0.3);
    EXPECT_TRUE(outcome.timed_out);
    EXPECT_EQ(outcome.reason, "stopped after 0 s");
    int grandchild = 0;
    std::ifstream(pid_file) >> grandchild;
    ASSERT_GT(grandchild, 1);
    bool gone = false;
    for (int wait = 0; wait < 200 && !gone; ++wait) {
        std::ifstream state("/proc/" + std::to_string(grandchild) + "/stat");
        std::string line;
        gone = !std::getline(state, line) || line.find(") Z ") != std::string::npos;
        usleep(10000);
    }
    EXPECT_TRUE(gone);
}

// Several processes of one launch: each writes what it is told about itself.
Outcome ranks(int count, const std::string& script, double timeout = 20) {
    Launch launch{{"/bin/sh", "-c", script}, {{"XB_LAUNCH_TEST", "x"}}};
    launch.processes = count;
    launch.grace_seconds = 0.3;
    return run_process(launch, log_file(), timeout);
}

std::vector<std::string> lines_of_log() {
    std::ifstream file(log_file());
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    std::sort(lines.begin(), lines.end());
    return lines;
}

TEST(RunRanks, EachKnowsItsPlaceAndNoOtherLauncher) {
    setenv("OMPI_COMM_WORLD_SIZE", "1", 1);
    setenv("PMIX_RANK", "0", 1);
    setenv("WORLD_SIZE", "9", 1);
    EXPECT_EQ(ranks(3,
                    "echo $RANK $LOCAL_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE $XB_LAUNCH_TEST ${OMPI_COMM_WORLD_SIZE-none} "
                    "${PMIX_RANK-none}")
                  .reason,
              "");
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "WORLD_SIZE"}) unsetenv(name);
    EXPECT_EQ(lines_of_log(),
              (std::vector<std::string>{"0 0 3 3 x none none", "1 1 3 3 x none none", "2 2 3 3 x none none"}));
    EXPECT_EQ(ranks(2, "echo $XBENCH_RENDEZVOUS $XBENCH_JOB").reason, "");
    const auto first = lines_of_log();
    ASSERT_EQ(first.size(), 2u);
    EXPECT_EQ(first[0], first[1]) << "the ranks of one launch meet at one place";
    EXPECT_EQ(ranks(2, "echo $XBENCH_RENDEZVOUS $XBENCH_JOB").reason, "");
    EXPECT_NE(lines_of_log()[0], first[0]) << "two launches meet at the same place";
}

// The others wait for it for ever.
TEST(RunRanks, OneThatFailsEndsAll) {
    const Outcome failed = ranks(3, "[ $RANK = 1 ] && { echo 'xbench train, rank 1: the disk is full'; exit 3; }; sleep 60");
    EXPECT_EQ(failed.exit_code, 3);
    EXPECT_FALSE(failed.timed_out);
    EXPECT_EQ(failed.reason, "exit code 3: xbench train, rank 1: the disk is full");
    EXPECT_LT(failed.seconds, 20);
    const Outcome killed = ranks(2, "[ $RANK = 0 ] && kill -9 $$; sleep 60");
    EXPECT_EQ(killed.exit_code, 128 + 9);
    EXPECT_EQ(killed.reason, "killed by signal 9: no output");
    EXPECT_EQ(ranks(2, "[ $RANK = 0 ] && sleep 0.1; exit $((3 + RANK))").exit_code, 4) << "the first that failed counts";
}

TEST(RunRanks, TheTimeLimitEndsAll) {
    const Outcome outcome = ranks(2, "echo $$; exec sleep 60", 0.3);
    EXPECT_TRUE(outcome.timed_out);
    for (const std::string& line : lines_of_log()) EXPECT_NE(kill(std::atoi(line.c_str()), 0), 0) << line << " still runs";
}

TEST(RunRanks, ACommandThatCanBeRepeated) {
    LaunchRequest request;
    request.needs_launcher = true;
    request.ranks = 2;
    request.program = {"/x/xbench", "train"};
    const Launch launch = make_launch(request, Launcher::local);
    EXPECT_EQ(launch.processes, 2);
    EXPECT_EQ(shell_text(launch),
              "for r in 0 1; do RANK=$r LOCAL_RANK=$r WORLD_SIZE=2 LOCAL_WORLD_SIZE=2 /x/xbench train & done; wait");
    request.ranks = 1;
    EXPECT_EQ(shell_text(make_launch(request, Launcher::local)), "/x/xbench train");
}

}  // namespace
}  // namespace xbench
