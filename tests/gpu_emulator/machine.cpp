// Contexts, modules and pinned memory.
#include "tests/gpu_emulator/machine.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/device_memory.h"
#include "tests/gpu_emulator/image.h"
#include "tests/gpu_emulator/options.h"
#include "tests/gpu_emulator/report.h"
#include "tests/gpu_emulator/sectors.h"

namespace xbench::ptx {
namespace {

void give_addresses(ParsedModule& parsed, int device) {
    DeviceMemory& memory = device_memory(device);
    for (auto& [name, variable] : parsed.variables) {
        if (variable.space != Space::global) continue;
        variable.address = memory.allocate(std::max<uint64_t>(variable.bytes, 1), "variable " + name);
        std::memset(memory.host(variable.address), 0, variable.bytes);
        std::memset(memory.shadow(variable.address), written, variable.bytes);
        std::copy(variable.initial.begin(), variable.initial.end(), memory.host(variable.address));
    }
}

void list_missing(const Kernel& kernel) {
    if (kernel.missing.empty() || options().quiet) return;
    std::string opcodes;
    for (const std::string& opcode : kernel.missing) opcodes += " " + opcode;
    std::fprintf(stderr, "emulated GPU: %s uses what is not implemented:%s\n", kernel.name.c_str(), opcodes.c_str());
}

std::unique_ptr<CUmod_st> load_text(const Image& image, int device) {
    auto loaded = std::make_unique<CUmod_st>();
    loaded->device = device;
    ParsedModule parsed = parse(image.ptx);
    give_addresses(parsed, device);
    for (const ParsedKernel& kernel : parsed.kernels) {
        auto decoded = std::make_unique<Kernel>(decode_kernel(kernel, parsed));
        decoded->device = device;
        const auto compiled = image.compiled.find(kernel.name);
        if (compiled != image.compiled.end()) decoded->compiled = compiled->second;
        list_missing(*decoded);
        loaded->kernels[kernel.name] = std::move(decoded);
    }
    loaded->variables = parsed.variables;
    return loaded;
}

}  // namespace

CUcontext Machine::context(int device) {
    auto& context = contexts_[device];
    if (!context) context = std::make_unique<CUctx_st>(CUctx_st{device});
    return context.get();
}

CUcontext& Machine::current() {
    static thread_local CUcontext context = nullptr;
    return context;
}

CUresult Machine::load(CUmodule* module, const void* data) {
    const Image image = image_of(data, options().capability, options().driver);
    if (image.result != CUDA_SUCCESS) return image.result;
    try {
        *module = load_text(image, current_device()).release();
    } catch (const std::exception& error) {
        report(Fault::not_implemented, std::string("the PTX cannot be read: ") + error.what());
        return CUDA_ERROR_INVALID_PTX;
    }
    return CUDA_SUCCESS;
}

// Its kernels stay, as streams and counts may name them; its memory goes.
void Machine::unload(CUmodule module) {
    for (const auto& [name, variable] : module->variables)
        if (variable.space == Space::global) device_memory(module->device).free(variable.address);
    old_modules_.emplace_back(module);
}

void Machine::write_counts_at_exit() {
    std::atexit([] {
        const Lock lock;
        std::vector<const Kernel*> kernels;
        for (const auto& [kernel, function] : machine().functions_) kernels.push_back(kernel);
        write_counts(kernels);
    });
}

CUfunction Machine::function(CUmodule module, const std::string& name) {
    const auto found = module->kernels.find(name);
    if (found == module->kernels.end()) return nullptr;
    auto& function = functions_[found->second.get()];
    if (!function) function = std::make_unique<CUfunc_st>(CUfunc_st{found->second.get()});
    return function.get();
}

void* Machine::allocate_pinned(size_t bytes) {
    constexpr size_t page = 4096;
    void* const address = std::aligned_alloc(page, (bytes + page - 1) / page * page);
    if (address) pinned_[address] = bytes;
    return address;
}

bool Machine::free_pinned(void* address) {
    if (pinned_.erase(address) == 0) return false;
    std::free(address);
    return true;
}

bool Machine::is_pinned(const void* address) const {
    const auto after = pinned_.upper_bound(address);
    if (after == pinned_.begin()) return false;
    const auto& [begin, bytes] = *std::prev(after);
    return static_cast<const char*>(address) < static_cast<const char*>(begin) + bytes;
}

}  // namespace xbench::ptx
