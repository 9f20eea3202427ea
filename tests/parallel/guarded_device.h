// A device whose memory the host may not touch: pages without any access, which only copies, zeroing, sums and launched
// kernels open for as long as they run. What the host dereferences by itself is a crash. It computes with the CPU's kernels,
// so that everything has the bits of the CPU; a kernel that is given memory of the host ends the program.
// Bytes for the host come as late as they may: what a copy to the host brings is there after a wait, and wrong before.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "kernels/device.h"
#include "kernels/team.h"

namespace xbench::test {

class GuardedDevice final : public Device {
public:
    explicit GuardedDevice(int threads = 1, const Target& target = Cpu().target()) : Device(target, threads) {
        void* const pages = mmap(nullptr, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (pages == MAP_FAILED) throw Error("cannot reserve pages", "guarded device");
        pages_.reset(static_cast<char*>(pages), [](char* data) { munmap(data, reserved_bytes); });
    }
    const char* name() const override { return "guarded"; }
    bool is_host() const override { return false; }
    using Device::allocate;
    AlignedBuffer allocate(size_t bytes) override {
        const std::lock_guard lock(mutex_);
        char* const data = pages_.get() + used_bytes_;
        used_bytes_ += (bytes + page_bytes - 1) / page_bytes * page_bytes;
        if (used_bytes_ > reserved_bytes) throw Error("is full", "guarded device");
        return {std::shared_ptr<void>(pages_, data), bytes};  // never used again: whatever is freed stays closed
    }
    AlignedBuffer allocate_staging(size_t bytes) override {
        auto memory = std::make_shared<AlignedBuffer>(bytes);
        void* const data = memory->data();
        return {std::shared_ptr<void>(data, [this, memory](void*) { wait(); }), bytes};
    }
    void copy(void* to, const void* from, size_t bytes) override {
        if (bytes == 0) return;
        const Opened opened(*this);
        if (is_inside(to)) {
            std::memcpy(to, from, bytes);
            return;
        }
        const auto* const begin = static_cast<const std::byte*>(from);
        const std::lock_guard lock(mutex_);
        on_the_way_.push_back({++ordered_, to, {begin, begin + bytes}});
        std::memset(to, 0xFF, bytes);
    }
    void zero(void* data, size_t bytes) override {
        const Opened opened(*this);
        if (bytes > 0) std::memset(data, 0, bytes);
    }
    void sum(const Addends<float>& addends, float* total, size_t count) override {
        const Opened opened(*this);
        sum_over_ranks(target().isa, addends, &total, 1, 0, count);
    }
    void launch(const Kernel& kernel, const KernelArgs& args, const Team& team) noexcept override {
        for (const KernelTensor& tensor : args.in) expect_inside(tensor.data, kernel, "an input");
        for (const KernelTensor& tensor : args.out) expect_inside(tensor.data, kernel, "an output");
        expect_inside(args.workspace, kernel, "the workspace");
        expect_inside(args.step->leaf_begin, kernel, "leaf_begin");
        expect_inside(args.step->sample_ids, kernel, "sample_ids");
        const Opened opened(*this);
        kernel.run(args, team);
        ++launches_;
    }
    DeviceEvent record() override {
        const std::lock_guard lock(mutex_);
        return {++ordered_};
    }
    void wait(const DeviceEvent& event) override {
        const std::lock_guard lock(mutex_);
        for (; !on_the_way_.empty() && on_the_way_.front().number <= event.handle; on_the_way_.pop_front())
            std::memcpy(on_the_way_.front().to, on_the_way_.front().bytes.data(), on_the_way_.front().bytes.size());
    }
    void wait() override { wait(record()); }
    int64_t elapsed_ns(const DeviceEvent& from, const DeviceEvent& to) override { return to.handle - from.handle; }
    int64_t launches() const { return launches_; }

private:
    static constexpr size_t reserved_bytes = size_t{4} << 30, page_bytes = 4096;
    struct OnTheWay {
        int64_t number;
        void* to;
        std::vector<std::byte> bytes;
    };
    // Opens the pages for as long as it lives.
    class Opened {
    public:
        explicit Opened(GuardedDevice& device) : device_(device) { device_.open(1, PROT_READ | PROT_WRITE); }
        ~Opened() { device_.open(-1, PROT_NONE); }
        Opened(const Opened&) = delete;
        Opened& operator=(const Opened&) = delete;

    private:
        GuardedDevice& device_;
    };
    void open(int more, int access) {
        const std::lock_guard lock(mutex_);
        const int before = open_;
        open_ += more;
        if ((before == 0 || open_ == 0) && used_bytes_ > 0) mprotect(pages_.get(), used_bytes_, access);
    }
    bool is_inside(const void* data) const { return data >= pages_.get() && data < pages_.get() + reserved_bytes; }
    void expect_inside(const void* data, const Kernel& kernel, const char* what) const {
        if (!data || is_inside(data)) return;
        std::fprintf(stderr, "guarded device: %s of %s %s is the host's\n", what, name_of(kernel.op), kernel.name);
        std::abort();
    }
    void run_team(void (*body)(void*, const Team&), void* called) override {
        xbench::run_team(threads(), [&](const Team& team) { body(called, team); });
    }

    std::shared_ptr<char> pages_;
    size_t used_bytes_ = 0;
    int open_ = 0;
    std::mutex mutex_;
    int64_t ordered_ = 0;
    std::deque<OnTheWay> on_the_way_;
    std::atomic<int64_t> launches_{0};
};

}  // namespace xbench::test
