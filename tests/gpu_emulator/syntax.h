// PTX as the parser reads it: modules, kernels, statements. Names of registers are resolved to numbers, labels to
// statements, and calls of functions are replaced by their bodies; nothing is decoded yet (decoder.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/gpu_emulator/types.h"

namespace xbench::ptx {

enum class OperandKind : uint8_t { none, reg, immediate, symbol, vector, address, sink };

struct Operand {
    OperandKind kind = OperandKind::none;
    int reg = -1;         // of reg and address; -1: an address without a register
    int second_reg = -1;  // p|q of setp and shfl
    bool negated = false;
    uint64_t immediate = 0;  // the number, or what is added to an address; floats as their bits
    std::string symbol;      // of symbol and address
    std::vector<Operand> elements;
};

struct Statement {
    std::vector<std::string> words;  // "ld", "global", "v4", "f32"
    std::string opcode;              // "ld.global.v4.f32"
    std::string text;                // as written, for reports
    std::vector<Operand> operands;
    int guard = -1;  // a predicate register
    bool guard_negated = false;
    uint32_t line = 0, source_line = 0;
    std::vector<uint32_t> targets;  // of branches: statements

    bool has(const std::string& word) const {
        for (size_t i = 1; i < words.size(); ++i)
            if (words[i] == word) return true;
        return false;
    }
    const std::string& name() const { return words.front(); }
};

struct Register {
    uint8_t bytes = 4;
    bool predicate = false;
    std::string special;  // "%tid.x"
};

struct Parameter {
    std::string name;
    uint32_t offset = 0, bytes = 0;
};

struct Variable {
    Space space = Space::global;
    uint64_t bytes = 0, address = 0;
    uint32_t alignment = 1;
    bool dynamic = false;  // extern shared: its size comes with the launch
    std::vector<uint8_t> initial;
};

struct ParsedKernel {
    std::string name;
    std::vector<Parameter> parameters;
    uint32_t parameter_bytes = 0, shared_bytes = shared_begin, local_bytes = local_begin;
    uint32_t most_threads = 0;  // .maxntid or .reqntid; 0: not said
    std::vector<Register> registers;
    std::vector<Statement> statements;
    std::map<std::string, Variable> variables;  // of the kernel, with the module's shared ones
};

struct ParsedModule {
    std::string source_file;
    std::map<std::string, Variable> variables;  // global; addresses are given by whoever loads it
    std::vector<ParsedKernel> kernels;
};

// Throws std::runtime_error naming the line.
ParsedModule parse(const std::string& text);

}  // namespace xbench::ptx
