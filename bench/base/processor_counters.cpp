// The kernel multiplexes more events than the processor counts at once; a value is then scaled by the share of the time that
// it was counted.
#include "bench/base/processor_counters.h"
#include "core/gather.h"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fstream>
#include <vector>

namespace xbench {
namespace {

int open_counter(uint64_t what) {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.config = what;
    attributes.inherit = 1;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    return static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

std::string why_not(int error) {
    if (error == EACCES || error == EPERM) {
        std::ifstream file("/proc/sys/kernel/perf_event_paranoid");
        std::string level;
        file >> level;
        return "this user may not read the processor's counters" +
               (level.empty() ? "" : " (kernel.perf_event_paranoid is " + level + ")");
    }
    if (error == ENOENT || error == EOPNOTSUPP || error == ENODEV)
        return "this system shows no counters of the processor, as many virtual machines";
    if (error == ENOSYS) return "this system has no perf_event_open";
    return std::string("the processor's counters: ") + std::strerror(error);
}

std::optional<double> read_counter(int file) {
    struct {
        uint64_t value, enabled, running;
    } now{};
    if (file < 0 || read(file, &now, sizeof now) != static_cast<ssize_t>(sizeof now) || now.running == 0)
        return std::nullopt;
    return static_cast<double>(now.value) * static_cast<double>(now.enabled) / static_cast<double>(now.running);
}

double processor_seconds() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

ProcessorCounters::ProcessorCounters() : start_seconds_(processor_seconds()) {
    instructions_ = open_counter(PERF_COUNT_HW_INSTRUCTIONS);
    if (instructions_ < 0)
        why_ = why_not(errno);
    else if ((cycles_ = open_counter(PERF_COUNT_HW_CPU_CYCLES)) < 0)
        why_ = why_not(errno);
}

ProcessorCounters::~ProcessorCounters() {
    for (const int file : {instructions_, cycles_})
        if (file >= 0) close(file);
}

std::optional<ProcessorCounters::Counts> ProcessorCounters::counts() const {
    const std::optional<double> instructions = read_counter(instructions_), cycles = read_counter(cycles_);
    if (!instructions || !cycles) return std::nullopt;
    return Counts{*instructions, *cycles, processor_seconds() - start_seconds_};
}

Json processor_counters_of_ranks(const ProcessorCounters& mine, ControlPlane& ranks) {
    const auto counts = mine.counts();
    const ProcessorCounters::Counts none{-1, -1, -1}, sent = counts ? *counts : none;
    ProcessorCounters::Counts sum;
    bool complete = true;
    for (const ProcessorCounters::Counts& one : gather_values(ranks, std::vector<ProcessorCounters::Counts>{sent})) {
        complete = complete && one.cycles > 0;
        sum.instructions += one.instructions;
        sum.cycles += one.cycles;
        sum.seconds += one.seconds;
    }
    if (complete)
        return Json{{"instructions", sum.instructions}, {"cycles", sum.cycles}, {"processor_seconds", sum.seconds}};
    const std::string why = mine.why().empty() ? "not every rank could read its counters" : mine.why();
    return Json{{"instructions", nullptr}, {"cycles", nullptr}, {"processor_counters_why", why}};
}

}  // namespace xbench
