// cp.async, which lands when it is waited for and not before; mbarriers; TMA loads, which land when somebody waits for their
// barrier. Bytes on their way are poisoned and marked pending.
#include <cstring>

#include "tests/gpu_emulator/access.h"
#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/device_memory.h"
#include "tests/gpu_emulator/options.h"
#include "tests/gpu_emulator/report.h"

namespace xbench::ptx {
namespace {

uint64_t in_window(uint64_t address) { return address >= shared_window ? address - shared_window : address; }

enum CopyMode : uint16_t { whole, byte_count, ignored_where_true };

void copy_async(Warp& warp, const Instruction& i) {
    AsyncCopy copy;
    copy.group = warp.copy_groups;
    copy.bytes = i.bytes;
    copy.instruction = &i;
    copy.to = addresses(warp, i, i.a, i.narrow_address, i.offset);
    for (uint64_t& to : copy.to) to = in_window(to);
    const uint64_t* const from = warp.lanes<uint64_t>(i.b);
    uint32_t source_lanes = 0;
    for (size_t l = 0; l < warp_lanes; ++l) {
        copy.from[l] = from[l] + static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(i.target)));
        copy.count[l] = i.mode == whole           ? i.bytes
                        : i.mode == byte_count    ? warp.lanes<uint32_t>(i.c)[l]
                        : warp.mask(i.c) >> l & 1 ? 0
                                                  : i.bytes;
        if ((warp.active >> l & 1) && copy.count[l] > 0) source_lanes |= 1u << l;
    }
    const Access to = open(warp, i, copy.to, warp.active, Space::shared, i.bytes, writes, pending);
    copy.lanes = to.lanes;
    for (uint32_t left = to.lanes; left; left &= left - 1)
        std::memset(to.host[static_cast<size_t>(__builtin_ctz(left))], 0xff, i.bytes);
    if (source_lanes) {
        const Access read = open(warp, i, copy.from, source_lanes, Space::global, i.bytes, reads);
        for (size_t l = 0; l < warp_lanes; ++l)
            if ((source_lanes & ~read.lanes) >> l & 1) copy.count[l] = 0;
    }
    warp.copies.push_back(copy);
}

void land(Warp& warp, const AsyncCopy& copy) {
    Block& block = *warp.block;
    const DeviceMemory& memory = device_memory(warp.kernel->device);
    for (uint32_t left = copy.lanes; left; left &= left - 1) {
        const int l = __builtin_ctz(left);
        const uint64_t to = copy.to[static_cast<size_t>(l)], from = copy.from[static_cast<size_t>(l)];
        const uint32_t count = copy.count[static_cast<size_t>(l)];
        std::memset(block.shared.data() + to, 0, copy.bytes);
        std::memset(block.shared_shadow.data() + to, written, copy.bytes);
        if (count > 0) {
            std::memcpy(block.shared.data() + to, memory.host(from), count);
            std::memcpy(block.shared_shadow.data() + to, memory.shadow(from), count);
        }
        if (block.races) block.races->access(warp, *copy.instruction, l, static_cast<uint32_t>(to), copy.bytes, true);
    }
}

void commit(Warp& warp, const Instruction&) { ++warp.copy_groups; }

// All groups but the newest `offset`; negative: all copies, committed or not.
void wait(Warp& warp, const Instruction& i) {
    const uint64_t allowed = static_cast<uint64_t>(i.offset);
    finish_copies(warp, i.offset < 0 ? ~uint64_t{0} : warp.copy_groups > allowed ? warp.copy_groups - allowed : 0);
}

// As the hardware keeps it in 64 bits: whose meaning is nobody's business but mbarrier's own.
struct BarrierWord {
    uint64_t phase : 1, expected : 15, missing : 15;
    int64_t bytes : 33;  // of transactions that are still to come
};
static_assert(sizeof(BarrierWord) == 8);

enum BarrierMode : uint16_t { initialise, arrive, arrive_and_expect, expect, test, invalidate, arrive_for_copies };

class BarrierAt {
public:
    BarrierAt(Warp& warp, const Instruction& i, int lane, uint64_t address)
        : block_(*warp.block), address_(static_cast<uint32_t>(in_window(address))) {
        if (address_ < shared_begin || address_ + 8 > block_.shared_bytes || address_ % 8 != 0) {
            report(warp, i, lane, Fault::mbarrier, "no place for one");
            block_.failed = true;
            return;
        }
        valid = true;
    }
    BarrierWord load() const {
        BarrierWord word;
        std::memcpy(&word, block_.shared.data() + address_, sizeof word);
        return word;
    }
    void store(BarrierWord word) const {
        if (word.missing == 0 && word.bytes == 0) {
            word.phase ^= 1;
            word.missing = word.expected;
        }
        std::memcpy(block_.shared.data() + address_, &word, sizeof word);
        std::memset(block_.shared_shadow.data() + address_, written, sizeof word);
        ++block_.progress;
    }
    bool initialised() const { return block_.shared_shadow[address_] == written; }
    uint32_t address() const { return address_; }
    Clock& clock() const { return block_.barrier_clocks[address_]; }
    bool valid = false;

private:
    Block& block_;
    uint32_t address_;
};

void land(Warp& warp, const TensorCopy& copy) {
    Block& block = *warp.block;
    const TensorMap& map = copy.map;
    const DeviceMemory& memory = device_memory(warp.kernel->device);
    uint32_t rows = 1;
    for (int d = 1; d < map.rank; ++d) rows *= map.box[d];
    const uint32_t row_bytes = static_cast<uint32_t>(map.box[0]) * map.element_bytes;
    const uint32_t swizzle = map.swizzle == 3 ? 7 : map.swizzle == 2 ? 3 : map.swizzle == 1 ? 1 : 0;
    for (uint32_t row = 0; row < rows; ++row) {
        uint64_t from = map.address;
        bool inside = true;
        uint32_t rest = row;
        for (int d = 1; d < map.rank; ++d) {
            const int64_t at = copy.at[static_cast<size_t>(d)] + static_cast<int64_t>(rest % map.box[d]);
            rest /= map.box[d];
            inside &= at >= 0 && at < static_cast<int64_t>(map.dim[d]);
            from += static_cast<uint64_t>(at) * map.stride[d];
        }
        for (uint32_t b = 0; b < row_bytes; b += map.element_bytes) {
            const int64_t column = copy.at[0] + static_cast<int64_t>(b / map.element_bytes);
            const uint32_t chunk = copy.to + row * row_bytes + b / 16 * 16;
            const uint32_t to = (chunk ^ ((chunk >> 7 & swizzle) << 4)) + b % 16;
            const bool there = inside && column >= 0 && column < static_cast<int64_t>(map.dim[0]);
            uint8_t* const data = block.shared.data() + to;
            if (there)
                std::memcpy(data, memory.host(from + static_cast<uint64_t>(column) * map.element_bytes), map.element_bytes);
            else
                std::memset(data, 0, map.element_bytes);
            std::memset(block.shared_shadow.data() + to, written, map.element_bytes);
        }
    }
}

uint64_t bytes_of_box(const TensorMap& map) {
    uint64_t bytes = map.element_bytes;
    for (int d = 0; d < map.rank; ++d) bytes *= map.box[d];
    return bytes;
}

void land_tensors(Warp& warp, const BarrierAt& barrier) {
    auto& waiting = warp.block->tensor_copies;
    for (size_t j = 0; j < waiting.size();) {
        if (waiting[j].barrier != barrier.address()) {
            ++j;
            continue;
        }
        const TensorCopy copy = waiting[j];
        waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(j));
        land(warp, copy);
        BarrierWord word = barrier.load();
        word.bytes -= static_cast<int64_t>(bytes_of_box(copy.map));
        barrier.store(word);
        join(barrier.clock(), copy.issued);
    }
}

bool arrive_at(Warp& warp, const Instruction& i, int lane, const BarrierAt& barrier, BarrierWord& word, uint32_t count) {
    if (word.missing < count) {
        report(warp, i, lane, Fault::mbarrier,
               "more arrivals than the " + std::to_string(static_cast<int>(word.expected)) + " expected");
        warp.block->failed = true;
        return false;
    }
    word.missing -= count;
    if (warp.block->races) {
        join(barrier.clock(), warp.block->races->clock(warp.id));
        warp.block->races->tick(warp.id);
    }
    return true;
}

bool has_passed(Warp& warp, const BarrierAt& barrier, uint32_t parity) {
    if (barrier.load().phase == (parity & 1)) land_tensors(warp, barrier);
    if (barrier.load().phase == (parity & 1)) {
        warp.yields = true;
        return false;
    }
    if (warp.block->races) join(warp.block->races->clock(warp.id), barrier.clock());
    ++warp.block->progress;
    return true;
}

void mbarrier(Warp& warp, const Instruction& i) {
    const Addresses at = addresses(warp, i, i.a, i.narrow_address, i.offset);
    uint32_t passed = 0;
    for (uint32_t left = warp.active; left; left &= left - 1) {
        const int l = __builtin_ctz(left);
        const BarrierAt barrier(warp, i, l, at[static_cast<size_t>(l)]);
        if (!barrier.valid) return;
        const uint32_t value = i.b == no_register ? 1 : warp.lanes<uint32_t>(i.b)[l];
        if (i.mode == initialise) {
            barrier.clock() = {};
            barrier.store({0, value, value, 0});
            continue;
        }
        if (!barrier.initialised()) report(warp, i, l, Fault::mbarrier, "it was never initialised");
        if (i.mode == test) {
            if (has_passed(warp, barrier, value)) passed |= 1u << l;
            continue;
        }
        if (i.mode == invalidate) continue;
        BarrierWord word = barrier.load();
        if (i.mode == arrive_for_copies) finish_copies(warp, ~uint64_t{0});
        if (i.mode == expect || i.mode == arrive_and_expect) word.bytes += value;
        if (i.mode != expect && !arrive_at(warp, i, l, barrier, word, i.mode == arrive ? value : 1)) return;
        barrier.store(word);
    }
    if (i.mode == test) warp.set_mask(i.d, passed);
}

// A box of a tensor into shared memory; one lane asks for it.
void tensor_load(Warp& warp, const Instruction& i) {
    const Addresses to = addresses(warp, i, i.a, i.narrow_address, i.offset);
    for (uint32_t left = warp.active; left; left &= left - 1) {
        const int l = __builtin_ctz(left);
        TensorCopy copy;
        copy.to = static_cast<uint32_t>(in_window(to[static_cast<size_t>(l)]));
        copy.barrier =
            static_cast<uint32_t>(in_window(i.mode ? warp.lanes<uint32_t>(i.c)[l] : warp.lanes<uint64_t>(i.c)[l]));
        copy.instruction = &i;
        for (int d = 0; d < i.count; ++d) copy.at[static_cast<size_t>(d)] = warp.lanes<int32_t>(i.list[d])[l];
        const uint64_t map = warp.lanes<uint64_t>(i.b)[l];
        if (map >= param_window && map - param_window + sizeof copy.map <= warp.kernel->parameter_bytes)
            std::memcpy(&copy.map, warp.block->parameters + (map - param_window), sizeof copy.map);
        Block& block = *warp.block;
        if (copy.map.magic != TensorMap::right_magic || copy.map.rank != i.count) {
            report(warp, i, l, Fault::matrix_descriptor, "no tensor map of rank " + std::to_string(i.count));
            block.failed = true;
            return;
        }
        const uint64_t bytes = bytes_of_box(copy.map);
        if (copy.to % 128 != 0 || copy.to < shared_begin || copy.to + bytes > block.shared_bytes) {
            report(warp, i, l, Fault::out_of_bounds, "a box of " + std::to_string(bytes) + " bytes in shared memory");
            block.failed = true;
            return;
        }
        std::memset(block.shared.data() + copy.to, 0xff, bytes);
        std::memset(block.shared_shadow.data() + copy.to, pending, bytes);
        if (block.races) {
            for (uint64_t b = 0; b < bytes; b += 16)
                block.races->access(warp, i, l, copy.to + static_cast<uint32_t>(b), 1, true);
            copy.issued = block.races->clock(warp.id);
            block.races->tick(warp.id);
        }
        if (options().counts) {
            Counter& counter = warp.counters[&i - warp.kernel->code.data()];
            ++counter.requests;
            ++counter.global_requests;
            counter.sectors += bytes / 32;
            counter.ideal_sectors += bytes / 32;
        }
        block.tensor_copies.push_back(copy);
    }
}

Execute async_copy(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    i.counted_as = Class::async_copy;
    i.taint = Taint::asynchronous;
    if (s.has("commit_group")) return commit;
    if (s.has("wait_group") || s.has("wait_all")) {
        i.offset = s.has("wait_all") ? -1 : static_cast<int64_t>(s.operands.at(0).immediate);
        return wait;
    }
    if (s.has("mbarrier")) {
        d.address(0);
        i.mode = arrive_for_copies;
        return mbarrier;
    }
    if (s.has("bulk")) {
        if (!s.has("tensor") || !s.has("tile") || s.opcode.find("complete_tx") == std::string::npos) return nullptr;
        d.address(0);
        const Operand& map = s.operands.at(1);
        i.b = d.reg(map.reg);
        std::vector<uint32_t> coordinates;
        for (const Operand& c : map.elements.at(0).elements)
            coordinates.push_back(c.kind == OperandKind::reg ? d.reg(c.reg) : d.constant(c.immediate, 4));
        i.count = static_cast<uint8_t>(coordinates.size());
        i.list = d.keep(std::move(coordinates));
        i.c = d.reg(s.operands.at(2).reg);
        i.mode = d.register_bytes(s.operands[2].reg) == 4;
        return tensor_load;
    }
    d.address(0);
    i.space = Space::shared;
    i.b = d.reg(s.operands.at(1).reg);
    i.target = static_cast<uint32_t>(s.operands[1].immediate);
    i.bytes = static_cast<uint8_t>(s.operands.at(2).immediate);
    if (s.operands.size() > 3) {
        i.mode = d.is_predicate(3) ? ignored_where_true : byte_count;
        i.c = d.source(3, 4);
    }
    return copy_async;
}

Execute barrier_object(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    i.counted_as = Class::barrier;
    i.taint = Taint::ignore;
    if (s.has("init") || s.has("inval")) {
        d.address(0);
        i.mode = s.has("init") ? initialise : invalidate;
        if (s.has("init")) i.b = d.source(1, 4);
        return mbarrier;
    }
    if (s.has("try_wait") || s.has("test_wait")) {
        if (!s.has("parity")) return nullptr;
        i.d = d.result();
        d.address(1);
        i.b = d.source(2, 4);
        i.mode = test;
        return mbarrier;
    }
    const size_t where = s.operands.at(0).kind == OperandKind::address ? 0 : 1;
    if (s.operands[0].kind == OperandKind::reg) return nullptr;  // a state that try_wait would take
    d.address(where);
    if (s.operands.size() > where + 1) i.b = d.source(where + 1, 4);
    i.mode = !s.has("arrive") ? expect : s.has("expect_tx") ? arrive_and_expect : arrive;
    return mbarrier;
}

}  // namespace

void finish_copies(Warp& warp, uint64_t before_group) {
    for (; !warp.copies.empty() && warp.copies.front().group < before_group; warp.copies.pop_front())
        land(warp, warp.copies.front());
}

Execute decode_async(Decode& d) {
    const std::string& name = d.statement().name();
    if (name == "cp" && d.statement().has("async")) return async_copy(d);
    if (name == "mbarrier") return barrier_object(d);
    return nullptr;
}

}  // namespace xbench::ptx
