// What `xbench kernels --json FILE` measured, as a roofline and a table: on a page of its own, or beside a sweep of the same
// machine.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace xbench {

class HtmlPage;

struct KernelResult {
    std::string name, operation, implementation;  // "conv2d/resnet50.conv1/nchw16c", "conv2d", "winograd43 (avx512)"
    int repetitions = 0;
    double microseconds = 0, gflops = 0, gbytes_per_second = 0, share_of_peak = 0, share_of_bound = 0;  // medians
    double copy_gbytes_per_second = 0;  // of a copy with as large a working set; 0: not known
    std::string failure;
};

struct KernelResults {
    std::string file, date, host, isa;
    int threads = 0;
    double peak_gflops = 0, copy_gbytes_per_second = 0;  // measured in the same run; 0: not known
    std::vector<KernelResult> kernels;                   // in the file's order
};

// Throws UsageError where the file is not Google Benchmark's JSON, or holds no kernels of xbench.
KernelResults read_kernels(const std::filesystem::path& file);
// Whether a file looks like one: JSON with a context and benchmarks.
bool is_kernels_file(const std::filesystem::path& file);

std::string kernels_csv(const KernelResults& results);
void add_kernels(HtmlPage& page, const KernelResults& results);
std::string kernels_page(const KernelResults& results);

}  // namespace xbench
