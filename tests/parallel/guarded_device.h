// A device whose memory the host may not touch: pages without any access, which only open while the device does what it was
// told. What the host dereferences by itself is a crash. It computes with the CPU's kernels, so that everything has the bits
// of the CPU; a kernel that is given memory of the host ends the program.
// It does everything as late as it may: when the host waits for it, or when another order does that follows it. What a copy
// to the host brings is wrong before. So whoever forgets to wait, or to follow(), gets other figures.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "core/graph.h"
#include "kernels/device.h"
#include "kernels/team.h"

namespace xbench::test {

class GuardedDevice final : public Device {
public:
    explicit GuardedDevice(int threads = 1, const Target& target = Cpu().target())
        : GuardedDevice(std::make_shared<Memory>(), threads, target) {}
    const char* name() const override { return "guarded"; }
    bool is_host() const override { return false; }
    using Device::allocate;
    AlignedBuffer allocate(size_t bytes) override {
        const std::lock_guard lock(memory_->mutex);
        return {std::shared_ptr<void>(memory_, memory_->take(bytes)), bytes};
    }
    AlignedBuffer allocate_staging(size_t bytes) override {
        auto staging = std::make_shared<AlignedBuffer>(bytes);
        auto* const data = staging->as<char>();
        const std::lock_guard lock(memory_->mutex);
        memory_->staging[data] = bytes;
        return {std::shared_ptr<void>(data,
                                      [memory = memory_, calls = calls_, data, staging](void*) {
                                          const std::lock_guard freeing(memory->mutex);
                                          calls->catch_up(calls->ordered);
                                          memory->staging.erase(data);
                                      }),
                bytes};
    }
    void copy(void* to, const void* from, size_t bytes) override {
        if (bytes == 0) return;
        const std::lock_guard lock(memory_->mutex);
        if (!memory_->holds(to)) std::memset(to, 0xFF, bytes);
        if (memory_->holds(from) || memory_->is_staging(from))
            return order([to, from, bytes] { std::memcpy(to, from, bytes); });
        const auto* const begin = static_cast<const std::byte*>(from);
        order([to, data = std::vector<std::byte>(begin, begin + bytes)] { std::memcpy(to, data.data(), data.size()); });
    }
    void zero(void* data, size_t bytes) override {
        const std::lock_guard lock(memory_->mutex);
        if (bytes > 0) order([data, bytes] { std::memset(data, 0, bytes); });
    }
    template <class T>
    void order_sum(const Addends<T>& addends, T* total, size_t count) {
        const std::vector<const T*> from(addends.from, addends.from + addends.count);
        const std::vector<uint8_t> merges(addends.merges, addends.merges + addends.count);
        const std::lock_guard lock(memory_->mutex);
        order([from, merges, total, count, isa = target().isa] {
            sum_over_ranks(isa, Addends<T>{from.data(), static_cast<int>(from.size()), merges.data()}, &total, 1, 0, count);
        });
    }
    void sum(const Addends<float>& addends, float* total, size_t count) override { order_sum(addends, total, count); }
    void sum(const Addends<double>& addends, double* total, size_t count) override { order_sum(addends, total, count); }
    // The first thread's call stands for the team's; one thread computes it.
    void launch(const Kernel& kernel, const KernelArgs& args, const Team& team) noexcept override {
        if (team.rank > 0) return;
        for (const KernelTensor& tensor : args.in) expect_inside(tensor.data, kernel, "an input");
        for (const KernelTensor& tensor : args.out) expect_inside(tensor.data, kernel, "an output");
        expect_inside(args.workspace, kernel, "the workspace");
        expect_inside(args.step->leaf_begin, kernel, "leaf_begin");
        expect_inside(args.step->sample_ids, kernel, "sample_ids");
        const std::lock_guard lock(memory_->mutex);
        order([&kernel, args, step = *args.step] {
            KernelArgs now = args;
            now.step = &step;
            xbench::run_team(1, [&](const Team& alone) { kernel.run(now, alone); });
        });
        ++memory_->launches;
    }
    DeviceEvent record() override {
        const std::lock_guard lock(memory_->mutex);
        return {++calls_->ordered};
    }
    void wait(const DeviceEvent& event) override {
        const std::lock_guard lock(memory_->mutex);
        calls_->catch_up(event.handle);
    }
    void wait() override { wait(record()); }
    int64_t elapsed_ns(const DeviceEvent& from, const DeviceEvent& to) override {
        wait(to);
        return to.handle - from.handle;  // calls
    }
    std::unique_ptr<Device> another_order() override {
        return std::unique_ptr<Device>(new GuardedDevice(memory_, 1, target()));
    }
    void follow(const Device& other, const DeviceEvent& event) override {
        const std::lock_guard lock(memory_->mutex);
        order([calls = dynamic_cast<const GuardedDevice&>(other).calls_, event] { calls->catch_up(event.handle); });
    }
    // As its clock counts calls, it has no yardstick of copies either: one call, whatever is asked for.
    void copy_floats(const float*, float*, int64_t, int64_t, bool) override {
        const std::lock_guard lock(memory_->mutex);
        order([] {});
    }
    int64_t launches() const { return memory_->launches; }

private:
    // What all orders of a device share.
    struct Memory {
        static constexpr size_t reserved_bytes = size_t{4} << 30, page_bytes = 4096;
        Memory() : pages(static_cast<char*>(reserve())) {}
        ~Memory() { munmap(pages, reserved_bytes); }
        Memory(const Memory&) = delete;
        Memory& operator=(const Memory&) = delete;
        static void* reserve() {
            void* const pages = mmap(nullptr, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (pages == MAP_FAILED) throw Error("cannot reserve pages", "guarded device");
            return pages;
        }
        // Never used again: whatever is freed stays closed.
        char* take(size_t bytes) {
            char* const data = pages + used_bytes;
            used_bytes += (bytes + page_bytes - 1) / page_bytes * page_bytes;
            if (used_bytes > reserved_bytes) throw Error("is full", "guarded device");
            return data;
        }
        bool holds(const void* data) const { return data >= pages && data < pages + reserved_bytes; }
        bool is_staging(const void* data) const {
            const auto next = staging.upper_bound(static_cast<const char*>(data));
            return next != staging.begin() && std::prev(next)->first + std::prev(next)->second > data;
        }
        void open(int more) {
            const int before = opened;
            opened += more;
            if (used_bytes > 0 && (before == 0 || opened == 0))
                mprotect(pages, used_bytes, opened > 0 ? PROT_READ | PROT_WRITE : PROT_NONE);
        }
        std::recursive_mutex mutex;  // over everything of all orders
        char* const pages;
        size_t used_bytes = 0;
        int opened = 0;
        std::map<const char*, size_t> staging;
        std::atomic<int64_t> launches{0};
    };
    // What was called in one order and is not done yet, by number.
    struct Calls {
        explicit Calls(Memory& of) : memory(of) {}
        void catch_up(int64_t number) {
            if (waiting.empty() || waiting.front().first > number) return;
            memory.open(1);
            while (!waiting.empty() && waiting.front().first <= number) {
                const std::function<void()> work = std::move(waiting.front().second);
                waiting.pop_front();
                work();
            }
            memory.open(-1);
        }
        Memory& memory;
        int64_t ordered = 0;
        std::deque<std::pair<int64_t, std::function<void()>>> waiting;
    };

    GuardedDevice(std::shared_ptr<Memory> memory, int threads, const Target& target)
        : Device(target, threads), memory_(std::move(memory)), calls_(std::make_shared<Calls>(*memory_)) {}
    void order(std::function<void()> work) { calls_->waiting.emplace_back(++calls_->ordered, std::move(work)); }
    void expect_inside(const void* data, const Kernel& kernel, const char* what) const {
        if (!data || memory_->holds(data)) return;
        std::fprintf(stderr, "guarded device: %s of %s %s is the host's\n", what, name_of(kernel.op), kernel.name);
        std::abort();
    }
    void run_team(void (*body)(void*, const Team&), void* called) override {
        xbench::run_team(threads(), [&](const Team& team) { body(called, team); });
    }

    const std::shared_ptr<Memory> memory_;
    const std::shared_ptr<Calls> calls_;
};

}  // namespace xbench::test
