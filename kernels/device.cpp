// The CPU as a device: everything is done when the call returns.
#include "kernels/device.h"

#include <chrono>
#include <cstring>

#include "core/communicator.h"
#include "core/hardware.h"
#include "kernels/peak/peak.h"
#include "kernels/team.h"

namespace xbench {

AlignedBuffer Device::allocate(size_t bytes, MemoryLedger* ledger, MemoryCategory category) {
    AlignedBuffer buffer = allocate(bytes);
    buffer.count_in(ledger, category);
    return buffer;
}

void Device::look_while_waiting(const void* who, std::function<void(double)> look) {
    const std::lock_guard lock(looks_->mutex);
    if (look)
        looks_->all[who] = std::move(look);
    else
        looks_->all.erase(who);
}

bool Device::look(double waited_seconds) {
    const std::lock_guard lock(looks_->mutex);
    for (const auto& [who, look] : looks_->all) look(waited_seconds);
    return !looks_->all.empty();
}

AlignedBuffer Device::allocate_undefined(size_t bytes) {
    AlignedBuffer buffer = allocate(bytes);
    const std::vector<unsigned char> pattern(bytes, 0xFF);
    copy(buffer.data(), pattern.data(), bytes);
    return buffer;
}

void Device::copy_floats(const float* from, float* to, int64_t count, int64_t repeats, bool) {
    for (int64_t i = 0; i < repeats; ++i) copy(to, from, static_cast<size_t>(count) * sizeof(float));
}

Cpu::Cpu(const Target& target, int threads) : Device(target, threads) { check_team(threads); }
Cpu::Cpu(int threads) : Cpu(Target{usable_isa()}, threads) {}

void Cpu::copy(void* to, const void* from, size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
}

void Cpu::zero(void* data, size_t bytes) {
    if (bytes > 0) std::memset(data, 0, bytes);
}

template <class T>
void Cpu::sum_here(const Addends<T>& addends, T* total, size_t count) {
    run([&](const Team& team) {
        const RankRange part = range_of_rank(count, team.rank, team.size);
        sum_over_ranks(target().isa, addends, &total, 1, part.begin, part.end);
    });
}

void Cpu::sum(const Addends<float>& addends, float* total, size_t count) { sum_here(addends, total, count); }
void Cpu::sum(const Addends<double>& addends, double* total, size_t count) { sum_here(addends, total, count); }

DeviceEvent Cpu::record() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()};
}

double Cpu::multiply_adds(int64_t rounds) {
    double operations = 0;
    run([&](const Team& team) {
        float sink[3] = {0.999f, 1e-3f, 0};
        const double mine = run_fma_rounds(target().isa, rounds, sink);
        team.barrier();
        if (team.rank == 0) operations = mine * team.size;
    });
    return operations;
}

// Each thread copies a part, in whole lines but the last.
void Cpu::copy_floats(const float* from, float* to, int64_t count, int64_t repeats, bool by_system) {
    run([&](const Team& team) {
        const auto part = [&](int rank) { return rank == team.size ? count : count / 64 * rank / team.size * 64; };
        const int64_t begin = part(team.rank), mine = part(team.rank + 1) - begin;
        for (int64_t i = 0; i < repeats; ++i) {
            if (by_system)
                std::memcpy(to + begin, from + begin, static_cast<size_t>(mine) * sizeof(float));
            else
                run_copy(target().isa, from + begin, to + begin, mine);
            asm volatile("" ::"r"(from), "r"(to) : "memory");  // each copy happens
        }
        team.barrier();
    });
}

void Cpu::run_team(void (*body)(void*, const Team&), void* called) {
    xbench::run_team(threads(), [&](const Team& team) { body(called, team); });
}

}  // namespace xbench
