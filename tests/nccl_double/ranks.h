// Ranks for tests: processes, or threads of one, each with its communicator and a device of the emulated GPU. What goes
// wrong in one is thrown there and comes back as a text.
#pragma once

#include <cuda.h>
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/nccl_double/nccl_abi.h"

namespace xbench::nccl {

struct Comm;
using Handle = Comm*;

class Libraries {
public:
    Libraries() : cuda_(open("/libcuda.so.1")), nccl_(open("/libnccl.so.2")) {}
    template <class F>
    F* cuda(const char* name) const {
        return find<F>(cuda_, name);
    }
    template <class F>
    F* nccl(const char* name) const {
        return find<F>(nccl_, name);
    }

private:
    static void* open(const char* name) {
        void* const library = dlopen((XB_EMULATOR_FOLDER + std::string(name)).c_str(), RTLD_NOW | RTLD_GLOBAL);
        if (!library) throw std::runtime_error(dlerror());
        return library;
    }
    template <class F>
    static F* find(void* library, const char* name) {
        void* const found = dlsym(library, name);
        if (!found) throw std::runtime_error(std::string("no ") + name);
        return reinterpret_cast<F*>(found);
    }
    void *cuda_, *nccl_;
};
inline const Libraries& libraries() {
    static const Libraries all;
    return all;
}

#define XB_TEXT_OF(name)        #name
#define XB_TEXT(name)           XB_TEXT_OF(name)
#define XB_CU(function)         (*libraries().cuda<decltype(function)>(XB_TEXT(function)))
#define XB_EMU(type, name)      (*libraries().cuda<type>(#name))
#define XB_NCCL_CALL(name, ...) (*libraries().nccl<Result(__VA_ARGS__)>(#name))
#define XB_WANT(condition)                                                                                \
    do {                                                                                                  \
        if (!(condition)) throw std::runtime_error("line " + std::to_string(__LINE__) + ": " #condition); \
    } while (false)

struct Ranks {
    int count = 2, rank = 0;
    UniqueId id{};
};
using Body = std::function<void(const Ranks&)>;

inline void take_device(int device) {
    CUcontext context = nullptr;
    XB_WANT(XB_CU(cuInit)(0) == CUDA_SUCCESS);
    XB_WANT(XB_CU(cuDevicePrimaryCtxRetain)(&context, device) == CUDA_SUCCESS);
    XB_WANT(XB_CU(cuCtxSetCurrent)(context) == CUDA_SUCCESS);
}

inline UniqueId fresh_id() {
    static int number = 0;
    UniqueId id{};
    const uint64_t words[2] = {static_cast<uint64_t>(getpid()) << 32 | static_cast<uint32_t>(++number),
                               static_cast<uint64_t>(time(nullptr))};
    for (size_t i = 0; i < sizeof words; ++i) id.internal[8 + i] = reinterpret_cast<const char*>(words)[i];
    return id;
}

// Runs the function in a process of its own; what it throws, or "" when all is well.
inline std::function<std::string()> start_process(const std::function<void()>& function) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("pipe");
    const pid_t child = fork();
    if (child == 0) {
        std::string text;
        try {
            setenv("XBENCH_GPU_QUIET", "1", 1);
            function();
        } catch (const std::exception& error) {
            text = error.what();
        }
        const bool sent = write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
        _exit(text.empty() && sent ? 0 : 1);
    }
    close(ends[1]);
    return [child, end = ends[0]] {
        std::string text;
        char part[256];
        for (ssize_t got; (got = read(end, part, sizeof part)) > 0;) text.append(part, static_cast<size_t>(got));
        close(end);
        int status = 0;
        waitpid(child, &status, 0);
        return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status)) : text;
    };
}

inline std::string run_processes(int count, const Body& body) {
    const UniqueId id = fresh_id();
    std::vector<std::function<std::string()>> ends;
    for (int rank = 0; rank < count; ++rank)
        ends.push_back(start_process([&] {
            take_device(0);
            body({count, rank, id});
        }));
    std::string text;
    for (int rank = 0; rank < count; ++rank)
        if (const std::string one = ends[static_cast<size_t>(rank)](); !one.empty())
            text += "rank " + std::to_string(rank) + ": " + one + "\n";
    return text;
}

inline std::string run_threads(int count, const Body& body) {
    const UniqueId id = fresh_id();
    return start_process([&] {
        setenv("XBENCH_EMULATED_GPUS", std::to_string(count).c_str(), 1);
        std::vector<std::string> texts(static_cast<size_t>(count));
        std::vector<std::thread> threads;
        for (int rank = 0; rank < count; ++rank)
            threads.emplace_back([&, rank] {
                try {
                    take_device(rank);
                    body({count, rank, id});
                } catch (const std::exception& error) {
                    texts[static_cast<size_t>(rank)] = error.what();
                }
            });
        for (std::thread& thread : threads) thread.join();
        for (const std::string& text : texts)
            if (!text.empty()) throw std::runtime_error(text);
    })();
}

}  // namespace xbench::nccl
