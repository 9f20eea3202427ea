// A fixed piece of work of one core: fused multiply-adds in registers, and a pass over memory that no cache holds. Timed
// before and after each run of a sweep, it says whether the machine was the same one throughout. Milliseconds.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "core/json.h"
#include "core/memory.h"
#include "kernels/device.h"

namespace xbench {

struct MachineCalibration {
    double arithmetic_ms = 0, memory_ms = 0;
    std::optional<double> load_average;  // of the last minute
    std::optional<double> mhz;  // of the core that did the work, as the system says; often none in a virtual machine
};
Json to_json(const MachineCalibration& calibration);
std::optional<MachineCalibration> calibration_from(const Json& json);  // nothing where it holds no times

class Calibrator {
public:
    Calibrator();
    // On the first core that this process may use, whatever else it may; about 50 ms.
    MachineCalibration measure();

private:
    Cpu device_{1};
    AlignedBuffer memory_;
};

// What the system shows, under a root folder ("/", or a test's).
std::optional<double> load_average_under(const std::filesystem::path& root);
std::optional<double> core_mhz_under(const std::filesystem::path& root, int cpu);

}  // namespace xbench
