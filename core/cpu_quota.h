// How much processor time the control groups of this process allow: docker --cpus, Kubernetes limits, systemd's CPUQuota.
// In cores: 1.5 means 150 ms of processor time in each 100 ms. Reads /proc and the mounted cgroup file systems, v1 and v2.
#pragma once

#include <string>

namespace xbench {

// The least of all groups from this process' own to the root; 0 where nothing limits it. `root` stands before /proc and
// /sys, for tests.
double cpu_quota(const std::string& root = "");

}  // namespace xbench
