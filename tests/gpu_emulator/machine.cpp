// Queues, copies and loading.
#include "tests/gpu_emulator/machine.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/device_memory.h"
#include "tests/gpu_emulator/image.h"
#include "tests/gpu_emulator/options.h"
#include "tests/gpu_emulator/report.h"

namespace xbench::ptx {
namespace {

bool is_null(CUstream stream) { return stream == nullptr || stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD; }

// The memory of this range, or null, having said what is wrong.
DeviceMemory* memory_of(CUdeviceptr address, size_t bytes, const char* what) {
    const int device = device_of(address);
    if (device >= 0 && device_memory(device).inside(address, bytes)) return &device_memory(device);
    report(Fault::out_of_bounds, std::string(what) + " of " + std::to_string(bytes) + " bytes that lie in no allocation");
    return nullptr;
}

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

}  // namespace

Options& options() {
    static Options all = [] {
        Options read;
        const char* const mode = std::getenv("XBENCH_GPU_MODE");
        read.races = mode && std::string(mode) == "race";
        read.counts = mode && std::string(mode) == "counts";
        read.quiet = std::getenv("XBENCH_GPU_QUIET") != nullptr;
        return read;
    }();
    return all;
}

Machine& machine() {
    static Machine machine;
    return machine;
}

CUcontext Machine::context(int device) {
    auto& context = contexts_[device];
    if (!context) context = std::make_unique<CUctx_st>(CUctx_st{device});
    return context.get();
}

CUcontext& Machine::current() {
    static thread_local CUcontext context = nullptr;
    return context;
}

CUresult Machine::load(CUmodule* module, const void* image) {
    const std::string text = ptx_of(image);
    if (text.empty()) return CUDA_ERROR_NO_BINARY_FOR_GPU;
    auto loaded = std::make_unique<CUmod_st>();
    loaded->device = current_device();
    try {
        ParsedModule parsed = parse(text);
        give_addresses(parsed, loaded->device);
        for (const ParsedKernel& kernel : parsed.kernels) {
            auto decoded = std::make_unique<Kernel>(decode_kernel(kernel, parsed));
            decoded->device = loaded->device;
            if (!decoded->missing.empty() && !options().quiet) {
                std::string opcodes;
                for (const std::string& opcode : decoded->missing) opcodes += " " + opcode;
                std::fprintf(stderr, "emulated GPU: %s uses what is not implemented:%s\n", kernel.name.c_str(),
                             opcodes.c_str());
            }
            loaded->kernels[kernel.name] = std::move(decoded);
        }
        loaded->variables = parsed.variables;
    } catch (const std::exception& error) {
        report(Fault::not_implemented, std::string("the PTX cannot be read: ") + error.what());
        return CUDA_ERROR_INVALID_PTX;
    }
    *module = loaded.release();
    return CUDA_SUCCESS;
}

CUfunction Machine::function(CUmodule module, const std::string& name) {
    const auto found = module->kernels.find(name);
    if (found == module->kernels.end()) return nullptr;
    auto& function = functions_[found->second.get()];
    if (!function) function = std::make_unique<CUfunc_st>(CUfunc_st{found->second.get()});
    return function.get();
}

CUstream Machine::create_stream() {
    auto* const stream = new CUstream_st;
    stream->device = current_device();
    streams.insert(stream);
    return stream;
}

void Machine::destroy_stream(CUstream stream) {
    run_all(stream);
    streams.erase(stream);
    delete stream;
}

CUresult Machine::run_all(CUstream stream) {
    if (is_null(stream)) return run_everything();
    if (stream->busy) return sticky;
    stream->busy = true;
    while (!stream->queue.empty()) {
        const Operation operation = std::move(stream->queue.front());
        stream->queue.pop_front();
        const CUresult result = operation();
        if (result != CUDA_SUCCESS && sticky == CUDA_SUCCESS) sticky = result;
    }
    stream->busy = false;
    return sticky;
}

CUresult Machine::run_everything() {
    for (const CUstream stream : std::set<CUstream>(streams)) run_all(stream);
    return sticky;
}

CUresult Machine::enqueue(CUstream stream, Operation operation) {
    const std::scoped_lock lock(mutex);
    if (sticky != CUDA_SUCCESS) return sticky;
    if (is_null(stream)) return at_once(operation);
    if (stream->captured)
        stream->captured->operations.push_back(std::move(operation));
    else
        stream->queue.push_back(std::move(operation));
    return CUDA_SUCCESS;
}

CUresult Machine::at_once(const Operation& operation) {
    const std::scoped_lock lock(mutex);
    run_everything();
    if (sticky != CUDA_SUCCESS) return sticky;
    const CUresult result = operation();
    if (result == CUDA_ERROR_ILLEGAL_ADDRESS) sticky = result;
    return result;
}

CUresult Machine::end_capture(CUstream stream, CUgraph* graph) {
    *graph = stream->captured;
    if (!*graph) return CUDA_ERROR_ILLEGAL_STATE;
    for (const CUstream other : streams)
        if (other->captured == *graph) other->captured = nullptr;
    return CUDA_SUCCESS;
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

CUresult copy_to_device(CUdeviceptr to, const void* from, size_t bytes) {
    DeviceMemory* const memory = memory_of(to, bytes, "a copy to the device");
    if (!memory) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(memory->host(to), from, bytes);
    std::memset(memory->shadow(to), written, bytes);
    return CUDA_SUCCESS;
}

CUresult copy_to_host(void* to, CUdeviceptr from, size_t bytes) {
    DeviceMemory* const memory = memory_of(from, bytes, "a copy from the device");
    if (!memory) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(to, memory->host(from), bytes);
    return CUDA_SUCCESS;
}

CUresult copy_on_device(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
    DeviceMemory* const target = memory_of(to, bytes, "a copy on the device");
    DeviceMemory* const source = memory_of(from, bytes, "a copy on the device");
    if (!target || !source) return CUDA_ERROR_INVALID_VALUE;
    std::memmove(target->host(to), source->host(from), bytes);
    std::memmove(target->shadow(to), source->shadow(from), bytes);
    return CUDA_SUCCESS;
}

CUresult fill(CUdeviceptr to, uint32_t value, size_t count, int width) {
    const size_t bytes = count * static_cast<size_t>(width);
    DeviceMemory* const memory = memory_of(to, bytes, "a fill");
    if (!memory) return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; ++i)
        std::memcpy(memory->host(to) + i * static_cast<size_t>(width), &value, static_cast<size_t>(width));
    std::memset(memory->shadow(to), written, bytes);
    return CUDA_SUCCESS;
}

}  // namespace xbench::ptx
