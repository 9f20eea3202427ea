// What the emulated GPU has to say beside the driver's functions; nothing on a real one.
#pragma once

#include <dlfcn.h>

#include <string>

namespace xbench::test {

// Of the driver library that is loaded, or null.
template <class F>
F* function_of_emulator(const char* name) {
    void* const driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    return driver ? reinterpret_cast<F*>(dlsym(driver, name)) : nullptr;
}

// Faults that it has reported so far.
inline unsigned long long reports_of_emulator() {
    const auto count = function_of_emulator<unsigned long long()>("emu_reports");
    return count ? count() : 0;
}

inline std::string last_report_of_emulator() {
    const auto last = function_of_emulator<const char*()>("emu_last_report");
    return last ? last() : "";
}

// Goes on after a fault, which on a GPU would be the end of the process's context.
inline void forgive_emulator() {
    if (const auto forgive = function_of_emulator<void()>("emu_forgive")) forgive();
}

}  // namespace xbench::test
