// Medians of three short pieces each, so that one interruption does not count.
#include "bench/base/calibration.h"

#include <fmt/format.h>
#include <sched.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>

#include "bench/base/measure.h"
#include "core/files.h"
#include "core/json_member.h"
#include "core/json_number.h"
#include "core/seconds_since.h"

namespace xbench {
namespace {

constexpr int64_t rounds = 400000;
constexpr size_t memory_bytes = size_t{64} << 20;
constexpr int pieces = 3;

// The calling thread on one core, and back again.
class OnOneCore {
public:
    OnOneCore() {
        if (sched_getaffinity(0, sizeof before_, &before_) != 0) return;
        for (cpu_ = 0; cpu_ < CPU_SETSIZE && !CPU_ISSET(cpu_, &before_); ++cpu_) {
        }
        if (cpu_ == CPU_SETSIZE) return;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu_, &one);
        moved_ = sched_setaffinity(0, sizeof one, &one) == 0;
    }
    ~OnOneCore() {
        if (moved_) sched_setaffinity(0, sizeof before_, &before_);
    }
    OnOneCore(const OnOneCore&) = delete;
    OnOneCore& operator=(const OnOneCore&) = delete;
    int cpu() const { return cpu_; }

private:
    cpu_set_t before_{};
    int cpu_ = 0;
    bool moved_ = false;
};

template <class F>
double milliseconds_of(F&& work) {
    std::vector<double> times;
    for (int piece = 0; piece < pieces; ++piece) {
        const auto start = std::chrono::steady_clock::now();
        work();
        times.push_back(1e3 * seconds_since(start));
    }
    return median(times);
}

}  // namespace

Json to_json(const MachineCalibration& c) {
    const auto or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
    return Json{{"arithmetic_ms", c.arithmetic_ms},
                {"memory_ms", c.memory_ms},
                {"load_average", or_null(c.load_average)},
                {"mhz", or_null(c.mhz)}};
}

std::optional<MachineCalibration> calibration_from(const Json& json) {
    if (!json.is_object()) return std::nullopt;
    const auto arithmetic = number_in(json, "arithmetic_ms"), memory = number_in(json, "memory_ms");
    if (!arithmetic || !memory || *arithmetic <= 0 || *memory <= 0) return std::nullopt;
    return MachineCalibration{*arithmetic, *memory, number_in(json, "load_average"), number_in(json, "mhz")};
}

Calibrator::Calibrator() : memory_(memory_bytes) {
    for (size_t i = 0; i < memory_bytes / sizeof(double); ++i) memory_.as<double>()[i] = 1;  // the pages are there
}

MachineCalibration Calibrator::measure() {
    const OnOneCore here;
    MachineCalibration result;
    result.load_average = load_average_under("/");
    result.arithmetic_ms = milliseconds_of([&] { device_.multiply_adds(rounds); });
    result.mhz = core_mhz_under("/", here.cpu());  // while the core is still at work
    double* const data = memory_.as<double>();
    result.memory_ms = milliseconds_of([&] {
        for (size_t i = 0; i < memory_bytes / sizeof(double); ++i) data[i] = 2 - data[i];
    });
    return result;
}

std::optional<double> load_average_under(const std::filesystem::path& root) {
    const auto text = file_text(root / "proc/loadavg");
    if (!text || text->empty()) return std::nullopt;
    return std::atof(text->c_str());
}

std::optional<double> core_mhz_under(const std::filesystem::path& root, int cpu) {
    const auto khz = file_text(root / fmt::format("sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq", cpu));
    if (khz && std::atof(khz->c_str()) > 0) return std::atof(khz->c_str()) / 1e3;
    const auto info = file_text(root / "proc/cpuinfo");
    if (!info) return std::nullopt;
    const size_t block = info->find(fmt::format("processor\t: {}\n", cpu));
    const size_t line = block == std::string::npos ? block : info->find("cpu MHz", block);
    const size_t next = block == std::string::npos ? block : info->find("\nprocessor\t:", block);
    if (line == std::string::npos || line > next) return std::nullopt;
    const double mhz = std::atof(info->c_str() + info->find(':', line) + 1);
    return mhz > 0 ? std::optional(mhz) : std::nullopt;
}

}  // namespace xbench
