// Straight blocks of a kernel, the order in which the splits of a warp should visit them, and which registers live where.
#pragma once

#include <string>
#include <vector>

#include "tests/gpu_emulator/syntax.h"

namespace xbench::ptx {

struct ControlFlow {
    std::vector<uint8_t> leader;               // {statements}
    std::vector<uint32_t> begins;              // of blocks, and the number of statements at the end
    std::vector<std::vector<uint32_t>> after;  // blocks that may follow a block
    // Reverse post-order in which what lies inside a loop comes before what lies behind it: the split whose block comes
    // first is the one that others wait for. {statements}, at leaders.
    std::vector<uint32_t> order;
};

ControlFlow control_flow(const ParsedKernel& kernel);

bool has_result(const Statement& statement);

template <class F>
void each_register(const Operand& operand, F&& f) {
    if (operand.reg >= 0) f(operand.reg);
    if (operand.second_reg >= 0) f(operand.second_reg);
    for (const Operand& element : operand.elements) each_register(element, f);
}

// Calls read(register) and write(register) for the registers of a statement, the reads first.
template <class Read, class Write>
void visit_registers(const Statement& s, Read&& read, Write&& write) {
    if (s.guard >= 0) read(s.guard);
    const bool result = has_result(s) && !s.operands.empty() && s.operands[0].kind != OperandKind::address;
    for (size_t i = result ? 1 : 0; i < s.operands.size(); ++i) each_register(s.operands[i], read);
    if (s.name() == "wgmma" && !s.operands.empty()) each_register(s.operands[0], write);
    if (!result) return;
    if (s.guard >= 0) each_register(s.operands[0], read);  // lanes that the guard turns off keep the old value
    each_register(s.operands[0], write);
}

// Where each register lies in the register file, or no_register for one that is never used (and for special ones). Registers
// share memory when they do not live at the same time. Returns the file's size in bytes.
uint32_t allocate_registers(const ParsedKernel& kernel, const ControlFlow& flow, std::vector<uint32_t>& offsets);

}  // namespace xbench::ptx
