// Quotas of control groups, read from made-up /proc and cgroup trees.
#include "core/cpu_quota.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace xbench {
namespace {

struct Case {
    const char* name;
    std::map<std::string, std::string> files;
    double cores;
};

const std::string v1 = "30 23 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n";
const std::string v2 = "30 23 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(CpuQuota, OfTheLeastGroup) {
    const std::string v1_folder = "/sys/fs/cgroup/cpu,cpuacct", v2_folder = "/sys/fs/cgroup";
    const std::vector<Case> cases{
        {"no groups", {}, 0},
        {"v1 half a core",
         {{"/proc/self/cgroup", "4:cpu,cpuacct:/a/b\n1:name=systemd:/x\n"},
          {"/proc/self/mountinfo", v1},
          {v1_folder + "/a/b/cpu.cfs_quota_us", "50000"},
          {v1_folder + "/a/b/cpu.cfs_period_us", "100000"}},
         0.5},
        {"v1 without a limit",
         {{"/proc/self/cgroup", "4:cpu,cpuacct:/a\n"},
          {"/proc/self/mountinfo", v1},
          {v1_folder + "/a/cpu.cfs_quota_us", "-1"},
          {v1_folder + "/a/cpu.cfs_period_us", "100000"}},
         0},
        {"v1, the group above",
         {{"/proc/self/cgroup", "4:cpu,cpuacct:/a/b\n"},
          {"/proc/self/mountinfo", v1},
          {v1_folder + "/a/b/cpu.cfs_quota_us", "400000"},
          {v1_folder + "/a/b/cpu.cfs_period_us", "100000"},
          {v1_folder + "/a/cpu.cfs_quota_us", "300000"},
          {v1_folder + "/a/cpu.cfs_period_us", "200000"}},
         1.5},
        {"v1, a container that is shown its group as the root",
         {{"/proc/self/cgroup", "4:cpu:/docker/abc\n"},
          {"/proc/self/mountinfo", "30 23 0:26 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cpu rw,cpu\n"},
          {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000"},
          {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"}},
         2.5},
        {"v1, the host's path, not mounted",
         {{"/proc/self/cgroup", "4:cpu,cpuacct:/kubepods/pod1/c\n"},
          {"/proc/self/mountinfo", v1},
          {v1_folder + "/cpu.cfs_quota_us", "100000"},
          {v1_folder + "/cpu.cfs_period_us", "100000"}},
         1},
        {"v2",
         {{"/proc/self/cgroup", "0::/user.slice\n"},
          {"/proc/self/mountinfo", v2},
          {v2_folder + "/user.slice/cpu.max", "150000 100000\n"}},
         1.5},
        {"v2 max below a limit",
         {{"/proc/self/cgroup", "0::/a/b\n"},
          {"/proc/self/mountinfo", v2},
          {v2_folder + "/a/b/cpu.max", "max 100000\n"},
          {v2_folder + "/a/cpu.max", "200000 100000\n"}},
         2},
        {"v2 in a namespace of its own",
         {{"/proc/self/cgroup", "0::/\n"}, {"/proc/self/mountinfo", v2}, {v2_folder + "/cpu.max", "50000 100000\n"}},
         0.5},
    };
    const std::string top = testing::TempDir() + "cpu_quota_" + std::to_string(getpid());
    for (const Case& c : cases) {
        for (const auto& [path, text] : c.files) {
            std::filesystem::create_directories(std::filesystem::path(top + path).parent_path());
            std::ofstream(top + path) << text;
        }
        EXPECT_DOUBLE_EQ(cpu_quota(top), c.cores) << c.name;
        std::filesystem::remove_all(top);
    }
}

}  // namespace
}  // namespace xbench
