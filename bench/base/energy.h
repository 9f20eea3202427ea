// Energy of the processor packages in joules, where the system has RAPL counters and this user may read them.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace xbench {

class EnergyMeter {
public:
    // `root` holds intel-rapl:0, intel-rapl:1 ... (AMD's packages are named so too).
    explicit EnergyMeter(const std::string& root = "/sys/class/powercap");
    std::optional<double> joules() const;            // since construction, all packages; none: see why()
    const std::string& why() const { return why_; }  // why there are none

private:
    struct Package {
        std::string file;
        double start_uj, range_uj;
    };
    std::vector<Package> packages_;
    std::string why_;
};

}  // namespace xbench
