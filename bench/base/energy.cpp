// The counters count microjoules and wrap at max_energy_range_uj; a run longer than one wrap (minutes to hours) is not
// noticed, which is why a figure that came out below zero is the only one corrected.
#include "bench/base/energy.h"

#include <filesystem>
#include <fstream>

namespace xbench {
namespace {

std::optional<double> number_in(const std::string& path) {
    std::ifstream file(path);
    double value = 0;
    if (file >> value) return value;
    return std::nullopt;
}

}  // namespace

EnergyMeter::EnergyMeter(const std::string& root) {
    for (int package = 0;; ++package) {
        const std::string folder = root + "/intel-rapl:" + std::to_string(package);
        if (std::error_code unreadable; !std::filesystem::exists(folder, unreadable)) break;
        const std::optional<double> start = number_in(folder + "/energy_uj");
        if (!start) {
            packages_.clear();
            why_ = folder + "/energy_uj is not readable by this user";
            return;
        }
        packages_.push_back({folder + "/energy_uj", *start, number_in(folder + "/max_energy_range_uj").value_or(0)});
    }
    if (packages_.empty()) why_ = "this machine shows no RAPL counters";
}

std::optional<double> EnergyMeter::joules() const {
    if (packages_.empty()) return std::nullopt;
    double microjoules = 0;
    for (const Package& package : packages_) {
        const std::optional<double> now = number_in(package.file);
        if (!now) return std::nullopt;
        double used = *now - package.start_uj;
        if (used < 0) used += package.range_uj;
        microjoules += used;
    }
    return microjoules * 1e-6;
}

}  // namespace xbench
