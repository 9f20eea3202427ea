// Finds the emulated GPU's functions.
#include "tests/nccl_double/emulator.h"

#include <dlfcn.h>

namespace xbench::nccl {
namespace {

class Finder {
public:
    Finder() : library_(dlopen("libcuda.so.1", RTLD_NOW)) {}
    template <class F>
    Finder& find(F*& function, const char* name) {
        function = library_ ? reinterpret_cast<F*>(dlsym(library_, name)) : nullptr;
        all_ &= function != nullptr;
        return *this;
    }
    bool all() const { return all_; }

private:
    void* library_;
    bool all_ = true;
};

}  // namespace

const Emulator* emulator() {
    static Emulator functions;
    static const bool found = Finder()
                                  .find(functions.enqueue, "emu_enqueue")
                                  .find(functions.stream_device, "emu_stream_device")
                                  .find(functions.device_of, "emu_device_of")
                                  .find(functions.read, "emu_read")
                                  .find(functions.write, "emu_write")
                                  .find(functions.report, "emu_report")
                                  .find(functions.advance_collectives, "emu_advance_collectives")
                                  .find(functions.current_device, "cuCtxGetDevice")
                                  .find(functions.is_capturing, "cuStreamIsCapturing")
                                  .find(functions.allocate, "cuMemAlloc_v2")
                                  .find(functions.free, "cuMemFree_v2")
                                  .all();
    return found ? &functions : nullptr;
}

}  // namespace xbench::nccl
