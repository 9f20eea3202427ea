// Bounds, alignment, definedness, races and counts of an access.
#include "tests/gpu_emulator/access.h"

#include <algorithm>
#include <cstring>

#include "tests/gpu_emulator/device_memory.h"
#include "tests/gpu_emulator/options.h"
#include "tests/gpu_emulator/quick_access.h"
#include "tests/gpu_emulator/report.h"
#include "tests/gpu_emulator/sectors.h"

namespace xbench::ptx {
namespace {

std::string hex(uint64_t value) {
    char text[32];
    std::snprintf(text, sizeof text, "%#lx", static_cast<unsigned long>(value));
    return text;
}

std::string verb(int kind) { return kind & writes ? "write" : "read"; }

template <class F>
void each_lane(uint32_t lanes, F&& f) {
    for (uint32_t left = lanes; left; left &= left - 1) f(__builtin_ctz(left));
}

struct Span {
    uint64_t low = ~uint64_t{0}, high = 0, bits = 0;
};

Span span_of(const Addresses& at, uint32_t lanes) {
    Span span;
    if (lanes == all_lanes) {
        for (size_t l = 0; l < warp_lanes; ++l) {
            span.low = std::min(span.low, at[l]);
            span.high = std::max(span.high, at[l]);
            span.bits |= at[l];
        }
        return span;
    }
    each_lane(lanes, [&](int l) {
        span.low = std::min(span.low, at[static_cast<size_t>(l)]);
        span.high = std::max(span.high, at[static_cast<size_t>(l)]);
        span.bits |= at[static_cast<size_t>(l)];
    });
    return span;
}

class Opening {
public:
    Opening(Warp& warp, const Instruction& instruction, const Addresses& at, uint32_t lanes, uint32_t bytes, int kind)
        : warp_(warp), instruction_(instruction), at_(at), bytes_(bytes), kind_(kind), span_(span_of(at, lanes)) {
        access_.lanes = lanes;
    }

    Access run(Space space, Shadow mark) {
        if (span_.bits & (bytes_ - 1)) drop_misaligned();
        switch (space) {
            case Space::shared:
                in_block(warp_.block->shared.data(), warp_.block->shared_shadow.data(), shared_begin,
                         warp_.block->shared_bytes, "shared");
                break;
            case Space::local: in_local(); break;
            case Space::param: in_parameters(); return access_;
            default: in_global(); break;
        }
        if (!access_.lanes) return access_;
        find_shape(space);
        count(space);
        if (space == Space::shared && warp_.block->races && !(kind_ & atomically))
            each_lane(access_.lanes, [&](int l) {
                warp_.block->races->access(warp_, instruction_, l, static_cast<uint32_t>(at_[static_cast<size_t>(l)]),
                                           bytes_, kind_ & writes);
            });
        if (space == Space::global && options().races && !(kind_ & atomically) && !instruction_.volatile_access)
            each_lane(access_.lanes, [&](int l) {
                check_global_race(warp_, instruction_, l, at_[static_cast<size_t>(l)], bytes_, kind_ & writes);
            });
        if (kind_ & reads) check_defined();
        if (kind_ & writes) set_shadow(mark);
        return access_;
    }

private:
    void fault(int lane, Fault what, const std::string& detail) {
        report(warp_, instruction_, lane, what, detail);
        access_.lanes &= ~(1u << lane);
        warp_.block->failed = true;
    }
    void drop_misaligned() {
        each_lane(access_.lanes, [&](int l) {
            const uint64_t at = at_[static_cast<size_t>(l)];
            if (at & (bytes_ - 1))
                fault(l, Fault::misaligned, verb(kind_) + " of " + std::to_string(bytes_) + " bytes at " + hex(at));
        });
    }
    void in_block(uint8_t* data, uint8_t* shadow, uint32_t begin, uint32_t end, const char* name) {
        if (span_.low < begin || span_.high + bytes_ > end)
            each_lane(access_.lanes, [&](int l) {
                const uint64_t at = at_[static_cast<size_t>(l)];
                if (at < begin || at + bytes_ > end)
                    fault(l, Fault::out_of_bounds,
                          std::string(name) + " " + verb(kind_) + " of " + std::to_string(bytes_) + " bytes at offset " +
                              std::to_string(static_cast<int64_t>(at) - begin) + " of " + std::to_string(end - begin));
            });
        access_.to_shadow = shadow - data;
        each_lane(access_.lanes, [&](int l) { access_.host[static_cast<size_t>(l)] = data + at_[static_cast<size_t>(l)]; });
    }
    void in_local() {
        const uint32_t each = warp_.kernel->local_bytes;
        in_block(warp_.local, warp_.local_shadow, local_begin, each, "local");
        each_lane(access_.lanes, [&](int l) { access_.host[static_cast<size_t>(l)] += static_cast<size_t>(l) * each; });
    }
    void in_parameters() {
        each_lane(access_.lanes, [&](int l) {
            const uint64_t at = at_[static_cast<size_t>(l)];
            if ((kind_ & writes) || at + bytes_ > warp_.kernel->parameter_bytes)
                return fault(l, Fault::out_of_bounds, verb(kind_) + " of kernel parameters at offset " + std::to_string(at));
            access_.host[static_cast<size_t>(l)] = const_cast<uint8_t*>(warp_.block->parameters) + at;
        });
    }
    void in_global() {
        const int device = warp_.kernel->device;
        DeviceMemory& memory = device_memory(device);
        if (device_of(span_.low) != device || !memory.inside(span_.low, span_.high - span_.low + bytes_))
            each_lane(access_.lanes, [&](int l) { check_global(memory, l); });
        else if (warp_.block->quick)
            remember(memory);
        access_.to_shadow = memory.to_shadow();
        each_lane(access_.lanes,
                  [&](int l) { access_.host[static_cast<size_t>(l)] = memory.host(at_[static_cast<size_t>(l)]); });
    }
    // For quick_access.h.
    void remember(const DeviceMemory& memory) {
        const Allocation& allocation = *memory.find(span_.low);
        range_of(*warp_.block, instruction_) = {allocation.address, allocation.bytes, memory.host(allocation.address),
                                                memory.shadow(allocation.address)};
    }
    void check_global(const DeviceMemory& memory, int lane) {
        const uint64_t at = at_[static_cast<size_t>(lane)];
        const int owner = device_of(at);
        const std::string what = "global " + verb(kind_) + " of " + std::to_string(bytes_) + " bytes at " + hex(at);
        if (owner != warp_.kernel->device)
            return fault(lane, Fault::out_of_bounds,
                         what + (owner < 0 ? ", which no device has" : ", memory of device " + std::to_string(owner)));
        if (memory.inside(at, bytes_)) return;
        const Allocation* const near = memory.find(at);
        const Fault kind = near && !near->live && near->contains(at, bytes_) ? Fault::use_after_free : Fault::out_of_bounds;
        fault(lane, kind,
              what + (near ? ", byte " + std::to_string(at - near->address) + " of " + std::to_string(near->bytes) + " of " +
                                 near->label
                           : ""));
    }
    void find_shape(Space space) {
        if (access_.lanes != all_lanes || space == Space::local) return;
        access_.uniform = span_.low == span_.high;
        access_.contiguous = true;
        for (size_t l = 0; l < warp_lanes; ++l) access_.contiguous &= at_[l] == at_[0] + l * bytes_;
    }
    void count(Space space) {
        if (!options().counts) return;
        Counter& counter = warp_.counters[&instruction_ - warp_.kernel->code.data()];
        if (space == Space::global) count_global(counter, at_, access_.lanes, bytes_, kind_);
        if (space == Space::shared) count_shared(counter, at_, access_.lanes, bytes_);
    }
    static bool all_written(const uint8_t* shadow, uint32_t bytes) {
        constexpr uint64_t ones = 0x0101010101010101;
        for (; bytes >= 8; bytes -= 8, shadow += 8) {
            uint64_t word;
            std::memcpy(&word, shadow, 8);
            if (word != ones) return false;
        }
        for (; bytes > 0; --bytes, ++shadow)
            if (*shadow != written) return false;
        return true;
    }
    void check_defined() {
        if (access_.contiguous && all_written(access_.host[0] + access_.to_shadow, warp_lanes * bytes_)) return;
        if (access_.uniform && all_written(access_.host[0] + access_.to_shadow, bytes_)) return;
        each_lane(access_.lanes, [&](int l) {
            const uint8_t* const shadow = access_.host[static_cast<size_t>(l)] + access_.to_shadow;
            if (all_written(shadow, bytes_)) return;
            if (std::find(shadow, shadow + bytes_, pending) != shadow + bytes_)
                return report(warp_, instruction_, l, Fault::pending_copy, "read at " + hex(at_[static_cast<size_t>(l)]));
            access_.undefined |= 1u << l;
        });
    }
    void set_shadow(Shadow mark) {
        if (access_.contiguous) {
            std::memset(access_.host[0] + access_.to_shadow, mark, warp_lanes * bytes_);
            return;
        }
        each_lane(access_.lanes,
                  [&](int l) { std::memset(access_.host[static_cast<size_t>(l)] + access_.to_shadow, mark, bytes_); });
    }

    Warp& warp_;
    const Instruction& instruction_;
    const Addresses& at_;
    const uint32_t bytes_;
    const int kind_;
    const Span span_;
    Access access_;
};

}  // namespace

Addresses addresses(const Warp& warp, const Instruction&, uint32_t reg, bool narrow, int64_t offset) {
    Addresses at;
    if (reg == no_register) {
        at.fill(static_cast<uint64_t>(offset));
    } else if (narrow) {
        const uint32_t* const base = warp.lanes<uint32_t>(reg);
        for (size_t l = 0; l < warp_lanes; ++l) at[l] = base[l] + static_cast<uint32_t>(offset);
    } else {
        const uint64_t* const base = warp.lanes<uint64_t>(reg);
        for (size_t l = 0; l < warp_lanes; ++l) at[l] = base[l] + static_cast<uint64_t>(offset);
    }
    return at;
}

Access open(Warp& warp, const Instruction& instruction, const Addresses& at, uint32_t lanes, Space space, uint32_t bytes,
            int kind, Shadow mark) {
    return Opening(warp, instruction, at, lanes, bytes, kind).run(space, mark);
}

void count_global(Counter& counter, const Addresses& at, uint32_t lanes, uint32_t bytes, int kind) {
    std::vector<uint64_t> sectors;
    each_lane(lanes, [&](int l) {
        const uint64_t begin = at[static_cast<size_t>(l)] / 32, end = (at[static_cast<size_t>(l)] + bytes - 1) / 32;
        for (uint64_t s = begin; s <= end; ++s) sectors.push_back(s);
    });
    std::sort(sectors.begin(), sectors.end());
    std::vector<uint64_t> places;
    each_lane(lanes, [&](int l) { places.push_back(at[static_cast<size_t>(l)]); });
    std::sort(places.begin(), places.end());
    const auto different = static_cast<uint64_t>(std::unique(places.begin(), places.end()) - places.begin());
    ++counter.requests;
    ++counter.global_requests;
    sectors.erase(std::unique(sectors.begin(), sectors.end()), sectors.end());
    counter.sectors += sectors.size();
    for (const uint64_t sector : sectors) {
        if (kind & reads) touch_sector(sector, false);
        if (kind & writes) touch_sector(sector, true);
    }
    counter.ideal_sectors += (different * bytes + 31) / 32;
}

void count_shared(Counter& counter, const Addresses& at, uint32_t lanes, uint32_t bytes) {
    const int together = bytes >= 16 ? 8 : bytes == 8 ? 16 : 32;  // lanes that move 128 bytes
    ++counter.requests;
    for (int first = 0; first < warp_lanes; first += together) {
        std::array<std::vector<uint64_t>, 32> words;  // different ones of each bank
        size_t most = 0;
        for (int l = first; l < first + together; ++l) {
            if (!(lanes >> l & 1)) continue;
            for (uint32_t e = 0; e < std::max(1u, bytes / 4); ++e) {
                const uint64_t word = at[static_cast<size_t>(l)] / 4 + e;
                auto& bank = words[word % 32];
                if (std::find(bank.begin(), bank.end(), word) == bank.end()) bank.push_back(word);
                most = std::max(most, bank.size());
            }
        }
        counter.wavefronts += most;
        counter.ideal_wavefronts += most > 0;
    }
}

}  // namespace xbench::ptx
