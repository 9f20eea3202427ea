// ldmatrix, mma.sync (f16, bf16, tf32; f32 sums) and wgmma (both operands in shared memory). Sums go over ascending k in f32
// with one rounding each: a GPU's order inside a tensor core is nobody's promise.
// Fragments as in the PTX manual, "Matrix fragments for mma.m16n8k16".
#include <cmath>
#include <cstring>

#include "tests/gpu_emulator/access.h"
#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/fragments.h"
#include "tests/gpu_emulator/half.h"
#include "tests/gpu_emulator/lanewise.h"
#include "tests/gpu_emulator/report.h"

namespace xbench::ptx {
namespace {

enum Operands : uint16_t { in_bf16, in_f16, in_tf32 };

template <Operands kind>
float value_of(uint32_t word, int half) {
    if (kind == in_tf32) return std::bit_cast<float>(word & 0xffffe000u);
    if (kind == in_bf16) return std::bit_cast<float>(half ? word & 0xffff0000u : word << 16);
    return half_to_float(static_cast<uint16_t>(half ? word >> 16 : word));
}

// Where nothing is wrong and nothing is to be counted. False: nothing was done.
bool quick_ldmatrix(Warp& warp, const Instruction& i, const Addresses& rows) {
    const Block& block = *warp.block;
    if (!block.quick) return false;
    const uint8_t* data[warp_lanes];
    for (size_t r = 0; r < size_t{8} * i.count; ++r) {
        const uint64_t at = rows[r] >= shared_window ? rows[r] - shared_window : rows[r];
        if (at % 16 != 0 || at < shared_begin || at + 16 > block.shared_bytes) return false;
        constexpr uint64_t ones = 0x0101010101010101;
        uint64_t shadow[2];
        std::memcpy(shadow, block.shared_shadow.data() + at, 16);
        if (shadow[0] != ones || shadow[1] != ones) return false;
        data[r] = block.shared.data() + at;
    }
    for (size_t m = 0; m < i.count; ++m) {
        uint16_t tile[8][8];
        for (size_t r = 0; r < 8; ++r) std::memcpy(tile[r], data[8 * m + r], 16);
        uint32_t out[warp_lanes];
        for (size_t l = 0; l < warp_lanes; ++l) {
            const size_t r = l / 4, c = l % 4 * 2;
            out[l] = i.mode ? tile[c][r] | uint32_t{tile[c + 1][r]} << 16 : tile[r][c] | uint32_t{tile[r][c + 1]} << 16;
        }
        put(warp, i.list[m], out);
        if (warp.any_taint) warp.taint[i.list[m] / register_grain] = 0;
    }
    return true;
}

// 8 rows of 16 bytes each a matrix; lane 8m + r gives the address of row r of matrix m.
void ldmatrix(Warp& warp, const Instruction& i) {
    const Addresses all = addresses(warp, i, i.a, i.narrow_address, i.offset);
    if (quick_ldmatrix(warp, i, all)) return;
    for (int m = 0; m < i.count; ++m) {
        Addresses rows{};
        for (size_t l = 0; l < warp_lanes; ++l) rows[l] = all[static_cast<size_t>(8 * m) + l % 8];
        for (uint64_t& row : rows) row = row >= shared_window ? row - shared_window : row;
        const Access access = open(warp, i, rows, 0xff, Space::shared, 16, reads);
        if (access.lanes != 0xff) return;
        uint16_t tile[8][8];
        uint8_t shadow[8][16];
        for (size_t r = 0; r < 8; ++r) {
            std::memcpy(tile[r], access.host[r], 16);
            std::memcpy(shadow[r], access.host[r] + access.to_shadow, 16);
        }
        uint32_t out[warp_lanes], undefined = 0;
        for (int l = 0; l < warp_lanes; ++l) {
            const int r = l / 4, c = l % 4 * 2;
            const uint32_t low = i.mode ? tile[c][r] : tile[r][c], high = i.mode ? tile[c + 1][r] : tile[r][c + 1];
            out[l] = low | high << 16;
            const bool there = i.mode ? shadow[c][2 * r] == written && shadow[c + 1][2 * r] == written
                                      : shadow[r][2 * c] == written && shadow[r][2 * c + 2] == written;
            undefined |= static_cast<uint32_t>(!there) << l;
        }
        put(warp, i.list[m], out);
        if (undefined) warp.any_taint = true;
        if (warp.any_taint) warp.taint[i.list[m] / register_grain] = undefined;
    }
}

// Rows of A and columns of B with an undefined element spoil their row and column of D.
template <int a_registers>
void spread_in_product(Warp& warp, const uint32_t* list) {
    constexpr int b_registers = a_registers / 2;
    const uint32_t *const as = list + 4, *const bs = as + a_registers, *const cs = bs + b_registers;
    uint32_t rows = 0, columns = 0;
    for (int l = 0; l < warp_lanes; ++l) {
        for (int r = 0; r < a_registers; ++r) rows |= (warp.taint[as[r] / register_grain] >> l & 1) << (l / 4 + r % 2 * 8);
        for (int r = 0; r < b_registers; ++r) columns |= (warp.taint[bs[r] / register_grain] >> l & 1) << (l / 4);
    }
    for (int r = 0; r < 4; ++r) {
        uint32_t undefined = warp.taint[cs[r] / register_grain];
        for (int l = 0; l < warp_lanes; ++l)
            undefined |= static_cast<uint32_t>((rows >> (l / 4 + r / 2 * 8) & 1) || (columns >> (l % 4 * 2 + r % 2) & 1))
                         << l;
        warp.taint[list[r] / register_grain] = undefined;
    }
}

// D = A B + C for 16x8xK; list: 4 of d, A's, B's, 4 of c.
template <int a_registers, Operands kind>
void mma(Warp& warp, const Instruction& i) {
    constexpr int b_registers = a_registers / 2, each = kind == in_tf32 ? 1 : 2;  // elements a register
    constexpr int depth = a_registers / 2 * 4 * each;
    Fragments f;
    alignas(64) float values[warp_lanes];
    const uint32_t *const list = i.list, *const as = list + 4, *const bs = as + a_registers, *const cs = bs + b_registers;
    const auto unpack = [&](uint32_t reg, int half) {
        const uint32_t* const words = warp.lanes<uint32_t>(reg);
        for (int l = 0; l < warp_lanes; ++l) values[l] = value_of<kind>(words[l], half);
    };
    for (int r = 0; r < a_registers; ++r)
        for (int h = 0; h < each; ++h) {
            unpack(as[r], h);
            const int k = r / 2 * 4 * each + h;
            spread<0>(values, f.a[k][r % 2]);
            spread<1>(values, f.a[k + each][r % 2]);
            spread<2>(values, f.a[k + 2 * each][r % 2]);
            spread<3>(values, f.a[k + 3 * each][r % 2]);
        }
    for (int r = 0; r < b_registers; ++r)
        for (int h = 0; h < each; ++h) {
            unpack(bs[r], h);
            for (int pair = 0; pair < 4; ++pair)
                for (int n = 0; n < 8; ++n) f.b[r * 4 * each + pair * each + h][n % 2][n / 2] = values[n * 4 + pair];
        }
    for (int r = 0; r < 4; ++r) std::memcpy(f.sum[r], warp.lanes<float>(cs[r]), sizeof f.sum[r]);
    multiply(f, depth);
    for (int r = 0; r < 4; ++r) std::memcpy(warp.lanes<float>(list[r]), f.sum[r], sizeof f.sum[r]);
    if (warp.any_taint) spread_in_product<a_registers>(warp, list);
}

// ---- wgmma: m64 n(8..256) k16, four warps, each with 16 rows

enum MatrixMode : uint16_t { a_transposed = 1, b_transposed = 2, halves_are_f16 = 4, elements_are_tf32 = 8 };

// An element of an operand in shared memory, by its descriptor (PTX manual, "Matrix descriptor"), in swizzled layouts.
class Descriptor {
public:
    Descriptor(Warp& warp, const Instruction& i, uint64_t bits, bool transposed)
        : warp_(warp),
          i_(i),
          start_(static_cast<uint32_t>(bits & 0x3fff) << 4),
          leading_(static_cast<uint32_t>(bits >> 16 & 0x3fff) << 4),
          stride_(static_cast<uint32_t>(bits >> 32 & 0x3fff) << 4),
          width_(256u >> (bits >> 62)),
          size_(i.mode & elements_are_tf32 ? 4 : 2),
          transposed_(transposed) {}

    float at(uint32_t row, uint32_t k) const {
        const uint32_t half = width_ / 2;
        const bool plain = width_ == without_swizzle;  // 8 rows of 16 bytes lie together
        uint32_t place = plain ? start_ + (row >> 3) * stride_ + k * size_ / 16 * leading_ + (row & 7) * 16 + k * size_ % 16
                         : transposed_
                             ? start_ + row / half * leading_ + (k >> 3) * stride_ + (k & 7) * width_ + row % half * 2
                             : start_ + (row >> 3) * stride_ + (row & 7) * width_ + k * size_;
        if (!plain) place ^= (place >> 7 & ((width_ >> 4) - 1)) << 4;
        Block& block = *warp_.block;
        if (place < shared_begin || place + size_ > block.shared_bytes) {
            report(warp_, i_, -1, Fault::matrix_descriptor, "it leads outside of shared memory");
            block.failed = true;
            return 0;
        }
        const uint8_t shadow = block.shared_shadow[place];
        if (shadow != written)
            report(warp_, i_, -1, shadow == pending ? Fault::pending_copy : Fault::unwritten, "an operand in shared memory");
        if (block.races && k % 8 == 0) block.races->access(warp_, i_, 0, place & ~15u, 1, false);
        uint32_t bits = 0;
        std::memcpy(&bits, block.shared.data() + place, size_);
        if (size_ == 4) return value_of<in_tf32>(bits, 0);
        return i_.mode & halves_are_f16 ? value_of<in_f16>(bits, 0) : value_of<in_bf16>(bits, 0);
    }

private:
    static constexpr uint32_t without_swizzle = 256;

    Warp& warp_;
    const Instruction& i_;
    uint32_t start_, leading_, stride_, width_, size_;
    bool transposed_;
};

void multiply(Warp& warp, const PendingMatrix& pending) {
    const Instruction& i = *pending.instruction;
    const Descriptor a(warp, i, pending.a, i.mode & a_transposed), b(warp, i, pending.b, i.mode & b_transposed);
    const auto& registers = warp.kernel->tables[i.target];
    const auto columns = static_cast<uint32_t>(registers.size()) * 2;
    const uint32_t first_row = warp.id % 4 * 16;
    const uint32_t depth = i.mode & elements_are_tf32 ? 8 : 16;
    float tile_a[16][16];
    for (uint32_t row = 0; row < 16; ++row)
        for (uint32_t k = 0; k < depth; ++k) tile_a[row][k] = a.at(first_row + row, k);
    for (uint32_t n = 0; n < columns; ++n) {
        float tile_b[16];
        for (uint32_t k = 0; k < depth; ++k) tile_b[k] = b.at(n, k);
        for (uint32_t row = 0; row < 16; ++row) {
            const uint32_t lane = row % 8 * 4 + n % 8 / 2, reg = registers[n / 8 * 4 + row / 8 * 2 + n % 2];
            float& sum = warp.lanes<float>(reg)[lane];
            float total = pending.accumulate ? sum : 0.0f;
            for (uint32_t k = 0; k < depth; ++k) total = __builtin_fmaf(tile_a[row][k], tile_b[k], total);
            sum = total;
        }
    }
}

void wgmma(Warp& warp, const Instruction& i) {
    PendingMatrix pending;
    pending.group = warp.matrix_groups;
    pending.instruction = &i;
    pending.a = warp.lanes<uint64_t>(i.a)[0];
    pending.b = warp.lanes<uint64_t>(i.b)[0];
    pending.accumulate = warp.mask(i.c) & 1;
    if ((!(pending.a >> 62) && (i.mode & a_transposed)) || (!(pending.b >> 62) && (i.mode & b_transposed))) {
        report(warp, i, -1, Fault::not_implemented, "wgmma on a transposed layout without a swizzle");
        warp.block->failed = true;
        return;
    }
    warp.matrices.push_back(pending);
}
void commit_matrices(Warp& warp, const Instruction&) { ++warp.matrix_groups; }
void wait_for_matrices(Warp& warp, const Instruction& i) {
    const auto allowed = static_cast<uint64_t>(i.offset);
    const uint64_t before = warp.matrix_groups > allowed ? warp.matrix_groups - allowed : 0;
    for (; !warp.matrices.empty() && warp.matrices.front().group < before; warp.matrices.pop_front())
        multiply(warp, warp.matrices.front());
}

Execute warp_group(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    i.counted_as = Class::matrix;
    i.taint = Taint::ignore;
    d.sync(d.full_mask());
    if (s.has("fence")) return no_operation;
    if (s.has("commit_group")) return commit_matrices;
    if (s.has("wait_group")) {
        i.offset = static_cast<int64_t>(s.operands.at(0).immediate);
        return wait_for_matrices;
    }
    const bool f16 = s.words.back() == "f16", tf32 = s.words.back() == "tf32";
    if (!s.has("f32") || (!f16 && !tf32 && s.words.back() != "bf16") || s.operands.size() != (tf32 ? 6 : 8) ||
        s.operands[1].kind != OperandKind::reg || s.operands[4].immediate != 1 || s.operands[5].immediate != 1)
        return nullptr;
    i.mode = f16 ? halves_are_f16 : tf32 ? elements_are_tf32 : 0;
    if (!tf32 && s.operands[6].immediate) i.mode |= a_transposed;
    if (!tf32 && s.operands[7].immediate) i.mode |= b_transposed;
    std::vector<uint32_t> registers;
    for (const Operand& element : s.operands[0].elements) registers.push_back(d.reg(element.reg));
    i.flops = static_cast<uint32_t>(16 * registers.size() * 2 * (tf32 ? 8 : 16) * 2);
    i.target = static_cast<uint32_t>(d.kernel().tables.size());
    d.kernel().tables.push_back(std::move(registers));
    i.a = d.source(1, 8);
    i.b = d.source(2, 8);
    i.c = d.source(3, 4);
    return wgmma;
}

Execute multiply_add(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    i.counted_as = Class::matrix;
    i.taint = Taint::matrix;
    const int k = s.has("m16n8k16") ? 16 : s.has("m16n8k8") ? 8 : 0;
    if (k == 0 || s.words.back() != "f32" || s.operands.size() != 4) return nullptr;
    const std::string& type = s.words[s.words.size() - 3];
    i.mode = type == "bf16" ? in_bf16 : type == "f16" ? in_f16 : in_tf32;
    if (i.mode == in_tf32 && type != "tf32") return nullptr;
    std::vector<uint32_t> all;
    for (size_t operand = 0; operand < 4; ++operand) {
        const uint32_t* const part = d.vector(operand, 4, operand == 0);
        all.insert(all.end(), part, part + i.count);
    }
    i.list = d.keep(std::move(all));
    i.flops = static_cast<uint32_t>(16 * 8 * k * 2);
    d.sync(d.full_mask());
    const bool four = (k == 16) == (i.mode != in_tf32);  // registers of A
    if (!four && k != 8) return nullptr;
    switch (i.mode) {
        case in_bf16: return four ? mma<4, in_bf16> : mma<2, in_bf16>;
        case in_f16: return four ? mma<4, in_f16> : mma<2, in_f16>;
        default: return four ? mma<4, in_tf32> : mma<2, in_tf32>;
    }
}

}  // namespace

Execute decode_matrix(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    if (s.name() == "wgmma") return warp_group(d);
    if (s.name() == "mma") return multiply_add(d);
    if (s.name() != "ldmatrix") return nullptr;
    i.counted_as = Class::ldmatrix;
    i.taint = Taint::ignore;  // by element, in ldmatrix()
    d.address(1);
    i.list = d.vector(0, 4, true);
    i.mode = s.has("trans");
    d.sync(d.full_mask());
    return ldmatrix;
}

}  // namespace xbench::ptx
