// Quotas of control groups. A line of /proc/self/cgroup is ID:CONTROLLERS:PATH, without controllers for version 2; a line of
// /proc/self/mountinfo has the mount's root in field 4, its place in field 5, and behind " - " type, source and options.
// Inside a container the path may be one of the host's, which is not mounted: then the mount's own group counts.
#include "core/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

namespace xbench {
namespace {

struct Mount {
    std::string root, place;
};

bool has_word(const std::string& list, const std::string& word) {
    std::stringstream words(list);
    for (std::string w; std::getline(words, w, ',');)
        if (w == word) return true;
    return false;
}

// Of the cpu controller: version 2, or version 1's by its option.
std::vector<Mount> cgroup_mounts(const std::string& root, bool version_2) {
    std::vector<Mount> mounts;
    std::ifstream file(root + "/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        const size_t dash = line.find(" - ");
        if (dash == std::string::npos) continue;
        std::stringstream before(line.substr(0, dash)), behind(line.substr(dash + 3));
        std::string skip, mount_root, place, type, source, options;
        before >> skip >> skip >> skip >> mount_root >> place;
        behind >> type >> source >> options;
        if (version_2 ? type == "cgroup2" : type == "cgroup" && has_word(options, "cpu"))
            mounts.push_back({mount_root, place});
    }
    return mounts;
}

// "50000 100000", "max 100000", or the two files of version 1; 0: no limit.
double quota_of(const std::string& folder, bool version_2) {
    std::string quota;
    double period = 0;
    if (version_2) {
        std::ifstream(folder + "/cpu.max") >> quota >> period;
    } else {
        std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
        std::ifstream(folder + "/cpu.cfs_period_us") >> period;
    }
    const double allowed = std::atof(quota.c_str());  // "max" is 0
    return allowed > 0 && period > 0 ? allowed / period : 0;
}

double least(double a, double b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

double quota_below(const std::string& root, const Mount& mount, std::string path, bool version_2) {
    if (mount.root != "/" && path.starts_with(mount.root)) path.erase(0, mount.root.size());
    double quota = 0;
    for (;; path.erase(path.rfind('/'))) {
        quota = least(quota, quota_of(root + mount.place + path, version_2));
        if (path.find('/') == std::string::npos) return quota;
    }
}

}  // namespace

double cpu_quota(const std::string& root) {
    double quota = 0;
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const bool version_2 = controllers.empty();
        if (!version_2 && !has_word(controllers, "cpu")) continue;
        for (const Mount& mount : cgroup_mounts(root, version_2))
            quota = least(quota, quota_below(root, mount, line.substr(second + 1), version_2));
    }
    return quota;
}

}  // namespace xbench
