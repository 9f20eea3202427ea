// From statements to instructions. Each family of opcodes has a file decode_*.cpp with one function that gives the routine
// to execute, having filled in the operands, or null for an opcode that is not of the family or not implemented.
#pragma once

#include "tests/gpu_emulator/control_flow.h"
#include "tests/gpu_emulator/instruction.h"

namespace xbench::ptx {

class Decode {
public:
    Decode(Kernel& kernel, const ParsedKernel& parsed, const std::map<std::string, Variable>& globals);
    void run();

    // For the families.
    const Statement& statement() const { return *statement_; }
    Instruction& instruction() { return *instruction_; }
    Scalar type = Scalar::none;  // the opcode's last
    // Registers of operands; an immediate or an address of a symbol becomes a constant of so many bytes.
    uint32_t source(size_t operand, int bytes);
    uint32_t source(size_t operand) { return source(operand, bytes_of(type)); }
    uint32_t result(size_t operand = 0);
    uint32_t second_result(size_t operand = 0);
    void unary(), binary(), ternary();
    uint32_t predicate(size_t operand);                              // and its negation into the instruction
    void address(size_t operand);                                    // into a, offset, narrow_address
    const uint32_t* vector(size_t operand, int bytes, bool writes);  // and its length into count
    int operand_bytes(size_t operand) const;                         // of its register, or of the type
    int register_bytes(int reg) const { return parsed_.registers[static_cast<size_t>(reg)].bytes; }
    bool is_predicate(size_t operand) const;
    const std::string& special(size_t operand) const;
    uint32_t constant(uint64_t value, int bytes);
    void sync(uint32_t mask_register);
    uint32_t full_mask() { return constant(all_lanes, 4); }
    bool is_parameter(const std::string& name, int64_t& offset) const;
    uint64_t address_of(const std::string& symbol) const;
    uint32_t reg(int id);
    Kernel& kernel() { return kernel_; }
    const uint32_t* keep(std::vector<uint32_t> list);

private:
    void find_plain_code();
    void decode(size_t at);
    void note_taint();
    void note_width();

    Kernel& kernel_;
    const ParsedKernel& parsed_;
    const std::map<std::string, Variable>& globals_;
    std::vector<uint32_t> offsets_;
    std::map<std::pair<uint64_t, int>, uint32_t> constants_;
    const Statement* statement_ = nullptr;
    Instruction* instruction_ = nullptr;
};

Scalar scalar_of(const std::string& word);

Execute decode_control(Decode& decode);  // branches, barriers, fences
Execute decode_move(Decode& decode);     // mov, cvta, selp, packing, predicates
Execute decode_convert(Decode& decode);  // cvt
Execute decode_float(Decode& decode);    // arithmetic of f16 to f64
Execute decode_integer(Decode& decode);
Execute decode_compare(Decode& decode);  // setp, set
Execute decode_memory(Decode& decode);   // ld, st
Execute decode_atomic(Decode& decode);   // atom, red
Execute decode_warp(Decode& decode);     // shfl, vote, match, redux, elect
Execute decode_async(Decode& decode);    // cp.async, mbarrier, TMA
Execute decode_matrix(Decode& decode);   // ldmatrix, mma, wgmma

// The routine for opcodes that nobody knows: reports it when a lane comes by.
void not_implemented(Warp& warp, const Instruction& instruction);
void no_operation(Warp& warp, const Instruction& instruction);
// Asynchronous copies and matrix products of a warp that ends without waiting for them.
void finish_copies(Warp& warp, uint64_t before_group);

// A loaded kernel: registers placed, statements decoded. Global variables must have their addresses.
Kernel decode_kernel(const ParsedKernel& parsed, const ParsedModule& module);

}  // namespace xbench::ptx
