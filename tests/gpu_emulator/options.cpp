// Reads the environment, once.
#include "tests/gpu_emulator/options.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace xbench::ptx {
namespace {

int number_in(const char* name, int otherwise) {
    const char* const text = std::getenv(name);
    return text ? std::atoi(text) : otherwise;
}

Options read_environment() {
    Options read;
    const char* const mode = std::getenv("XBENCH_GPU_MODE");
    read.races = mode && std::string(mode) == "race";
    read.counts = mode && std::string(mode) == "counts";
    read.quiet = std::getenv("XBENCH_GPU_QUIET") != nullptr;
    read.capability = number_in("XBENCH_EMULATED_SM", read.capability);
    read.driver = number_in("XBENCH_EMULATED_DRIVER", read.driver);
    read.threads = number_in("XBENCH_GPU_THREADS", read.threads);
    if (const char* const lost = std::getenv("XBENCH_EMULATED_GPU_LOST")) {
        unsigned long launches = 0;
        std::sscanf(lost, "%d:%lu:%d", &read.lost_device, &launches, &read.lost_code);
        read.lost_after = launches;
    }
    if (const char* const busy = std::getenv("XBENCH_EMULATED_GPU_BUSY"))
        std::sscanf(busy, "%d:%d", &read.busy_device, &read.busy_mode);
    return read;
}

}  // namespace

Options& options() {
    static Options all = read_environment();
    return all;
}

}  // namespace xbench::ptx
