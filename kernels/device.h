// Where a plan runs: its memory, its teams of threads, the order of what it is told to do, its clock. Everything that lies
// in memory of allocate() is read and written through the device that gave it; pointer arithmetic is free.
//
// Order. Copies, zeroing, sums and launches happen one after the other, in the order of the calls, and may happen later than
// the call: what the host wants to see it waits for. The CPU does all at once, so that its waits cost nothing.
//   copy   From ordinary host memory, the bytes have been read when it returns. From or to staging memory, neither may be
//          touched before wait(). Which memory a pointer leads to the device knows.
//   order  another_order() is a second one beside it, as a stream beside a stream. What one of them needs of the other it
//          follow()s, by an event; the host waits for neither.
//   run    The body launches kernels and copies. It decides by nothing that a kernel computes, so that a device may record
//          what the body asks for and replay it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

#include "core/memory.h"
#include "kernels/rank_sum/rank_sum.h"
#include "kernels/registry.h"

namespace xbench {

// A moment in the order of a device.
struct DeviceEvent {
    int64_t handle = 0;  // means something to the device that recorded it
};

class Device {
public:
    // Computes like `target` says, in teams of so many host threads.
    Device(const Target& target, int threads) : target_(target), threads_(threads) {}
    virtual ~Device() = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    virtual const char* name() const = 0;  // "cpu"
    const Target& target() const { return target_; }
    int threads() const { return threads_; }
    // Kernels are chosen for this target from now on, the least of all ranks'; it is at most the device's own.
    void restrict_to(const Target& least) { target_ = least; }

    // Whether the host may touch memory of allocate() and kernels that of the host, at any time.
    virtual bool is_host() const = 0;
    // Zeroed, at least 64-byte aligned. Counted in the ledger, where there is one.
    virtual AlignedBuffer allocate(size_t bytes) = 0;
    AlignedBuffer allocate(size_t bytes, MemoryLedger* ledger, MemoryCategory category);
    // Not zeroed but full of NaN, or of what an emulated GPU reports when it is read: for tests.
    virtual AlignedBuffer allocate_undefined(size_t bytes);
    virtual size_t free_bytes() { return SIZE_MAX; }  // that allocate() may still take; the host's are not counted
    // Zeroed host memory that copies reach without another copy.
    virtual AlignedBuffer allocate_staging(size_t bytes) = 0;

    virtual void copy(void* to, const void* from, size_t bytes) = 0;
    virtual void zero(void* data, size_t bytes) = 0;
    // total[i] = the sum of the addends' elements i, for i < count; any of the addends may be the total.
    virtual void sum(const Addends<float>& addends, float* total, size_t count) = 0;
    virtual void sum(const Addends<double>& addends, double* total, size_t count) = 0;

    // Calls body(Team) on the threads of a team at once. The body must not throw.
    template <class Body>
    void run(Body&& body) {
        run_team([](void* called, const Team& team) { (*static_cast<std::remove_reference_t<Body>*>(called))(team); },
                 &body);
    }
    // What a device keeps of a body, so that it need not be told again. Its owner drops it when the body would ask for
    // anything else than when it was kept.
    struct Recording {
        virtual ~Recording() = default;
    };
    // run() of a body that has been given with this recording before: a device that can replays what it asked for then.
    template <class Body>
    void run(std::unique_ptr<Recording>& kept, Body&& body) {
        run_kept(
            kept, [](void* called, const Team& team) { (*static_cast<std::remove_reference_t<Body>*>(called))(team); },
            &body);
    }
    void allow_replays(bool allowed) { replays_ = allowed; }  // for tests: without them the bits are the same
    // One kernel, called by all threads of a team.
    virtual void launch(const Kernel& kernel, const KernelArgs& args, const Team& team) noexcept = 0;

    virtual DeviceEvent record() = 0;
    virtual void wait(const DeviceEvent& event) = 0;  // until what came before the event is done
    virtual void wait() = 0;                          // until everything is done
    // Between two events of this order, for which it waits. The newest 4096 are known.
    virtual int64_t elapsed_ns(const DeviceEvent& from, const DeviceEvent& to) = 0;

    virtual bool is_done(const DeviceEvent&) { return true; }  // what came before the event; does not wait

    // The GPU of the tests: its results are right, and its times mean nothing.
    virtual bool is_emulated() const { return false; }
    // What libraries that work in this order call it: a CUstream. Null: there is none.
    virtual void* native_order() { return nullptr; }
    // Called again and again while the host waits for any order of this device, for `who` must know that it waits in vain (a
    // network of devices whose peers do not come); what it throws ends the wait. Null: `who` no longer looks.
    // It is told for how many seconds the host has waited.
    void look_while_waiting(const void* who, std::function<void(double waited_seconds)> look);
    // Whether what is called now, in any order of this device, is being kept and not done (run() with a recording).
    virtual bool is_recording() const { return false; }
    virtual int64_t replays() const { return 0; }  // bodies that it replayed instead of running them: for tests

    // Another order on the same memory, whose copies and sums happen beside the calls of this one: for communication while
    // steps compute. One thread uses it, which need not be this one's. This device outlives it.
    virtual std::unique_ptr<Device> another_order() = 0;
    // What is called from now on happens after this event, which another order of the same device has recorded. `other` may
    // be in use by its own thread meanwhile.
    virtual void follow(const Device& other, const DeviceEvent& event) = 0;

    // What it reaches at most, for the kernel bench; both by everything that computes here, in this order.
    // So many rounds of fused multiply-adds in registers: how many operations that is, or 0 where no yardstick is known.
    virtual double multiply_adds(int64_t) { return 0; }
    // Copies floats as often; by the system's copy or by the device's own loads and stores, where it has both.
    virtual void copy_floats(const float* from, float* to, int64_t count, int64_t repeats, bool by_system);

    // fill(host memory) writes all of the `count` elements that end in `to`.
    template <class T, class F>
    void write(T* to, int64_t count, F&& fill) {
        if (is_host()) return fill(to);
        std::vector<T> here(static_cast<size_t>(count));
        fill(here.data());
        copy(to, here.data(), here.size() * sizeof(T));
    }
    // look(host memory) reads `count` elements that lie at `from`. Waits for all that was to happen before.
    template <class T, class F>
    auto read(const T* from, int64_t count, F&& look) {
        if (is_host()) return look(from);
        std::vector<T> here(static_cast<size_t>(count));
        copy(here.data(), from, here.size() * sizeof(T));
        wait();
        return look(static_cast<const T*>(here.data()));
    }
    template <class T>
    T read(const T* from) {
        return read(from, 1, [](const T* number) { return *number; });
    }

    virtual void run_kept(std::unique_ptr<Recording>&, void (*body)(void*, const Team&), void* called) {
        run_team(body, called);
    }

protected:
    // Shared by all orders of a device.
    struct Looks {
        std::mutex mutex;
        std::map<const void*, std::function<void(double)>> all;
    };
    std::shared_ptr<Looks> looks_ = std::make_shared<Looks>();
    bool look(double waited_seconds);  // calls all of them; false: there are none
    bool replays_ = true;

private:
    virtual void run_team(void (*body)(void*, const Team&), void* called) = 0;

    Target target_;
    const int threads_;
};

// The host's own processor.
class Cpu : public Device {
public:
    explicit Cpu(int threads = 1);           // with the best instruction set that may be used here
    Cpu(const Target& target, int threads);  // throws Error where the system gives fewer threads
    const char* name() const override { return "cpu"; }
    bool is_host() const override { return true; }
    using Device::allocate;
    AlignedBuffer allocate(size_t bytes) override { return AlignedBuffer(bytes); }
    AlignedBuffer allocate_staging(size_t bytes) override { return AlignedBuffer(bytes); }
    void copy(void* to, const void* from, size_t bytes) override;
    void zero(void* data, size_t bytes) override;
    void sum(const Addends<float>& addends, float* total, size_t count) override;
    void sum(const Addends<double>& addends, double* total, size_t count) override;
    void launch(const Kernel& kernel, const KernelArgs& args, const Team& team) noexcept override { kernel.run(args, team); }
    DeviceEvent record() override;
    void wait(const DeviceEvent&) override {}
    void wait() override {}
    int64_t elapsed_ns(const DeviceEvent& from, const DeviceEvent& to) override { return to.handle - from.handle; }
    std::unique_ptr<Device> another_order() override { return std::make_unique<Cpu>(target(), 1); }
    void follow(const Device&, const DeviceEvent&) override {}
    double multiply_adds(int64_t rounds) override;
    void copy_floats(const float* from, float* to, int64_t count, int64_t repeats, bool by_system) override;

private:
    void run_team(void (*body)(void*, const Team&), void* called) override;
    template <class T>
    void sum_here(const Addends<T>& addends, T* total, size_t count);
};

}  // namespace xbench
