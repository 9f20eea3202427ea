// The reader's parts: declarations (parser.cpp), bodies of kernels and functions (parser_body.cpp), operands and labels
// (parser_operands.cpp). Functions (.func) are kept as places in the text and read again, with other names bound to their
// parameters, at each call: a call costs nothing and needs no stack. nvcc declares functions first and defines them behind
// the kernels, so all are found before the first kernel is read. What cannot be read in place (functions of elsewhere, calls
// through pointers, recursion) is refused by name.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/gpu_emulator/lexer.h"
#include "tests/gpu_emulator/syntax.h"

namespace xbench::ptx {

// Bytes of ".b32" and its like; 0: no type.
uint32_t type_bytes(std::string_view word);

struct RegisterRange {
    std::string prefix;
    Register kind;
};

struct Scope {
    std::map<std::string, int, std::less<>> registers;
    std::vector<RegisterRange> ranges;
};

struct Function {
    size_t body = 0;
    std::vector<Parameter> in, out;
};

class Parser {
public:
    explicit Parser(const std::string& text) : tokens_(lex(text)) {}
    ParsedModule run();

private:
    // Words.
    const Token& here() const { return tokens_[at_]; }
    bool is(std::string_view text) const { return here().text == text; }
    bool next_is(std::string_view text) const { return tokens_[at_ + 1].text == text; }
    std::string take() { return std::string(tokens_[at_++].text); }
    bool accept(std::string_view text) {
        if (!is(text)) return false;
        ++at_;
        return true;
    }
    [[noreturn]] void fail(const std::string& what) const {
        throw std::runtime_error("line " + std::to_string(here().line) + ": " + what);
    }
    void expect(std::string_view text) {
        if (!accept(text)) fail("expected '" + std::string(text) + "', not '" + std::string(here().text) + "'");
    }
    void skip_line();
    void skip_to_semicolon();
    void skip_braces();

    // Declarations.
    void find_functions();
    void file();
    std::vector<Parameter> parameters();
    std::pair<std::string, Variable> variable(Space space);
    void function();
    void kernel();
    void place(Variable& variable);
    void module_shared(bool dynamic);

    // Bodies.
    void body(const std::string& prefix, const std::string& return_label);
    void declare_registers();
    void declare_parameter();
    void label(const std::string& prefix);
    void statement(const std::string& prefix, const std::string& return_label);
    void call(const std::string& prefix, const Statement& read);
    std::vector<std::string> names_in_parentheses();
    void bind(std::map<std::string, std::string>& inner, const std::vector<Parameter>& to,
              const std::vector<std::string>& from, const std::string& function) const;
    void read_in_place(const std::string& prefix, size_t from, std::map<std::string, std::string> bound);
    Operand operand();
    Operand address();
    Operand list(std::string_view close);
    Operand plain_operand();
    int find_register(std::string_view name);
    void resolve_targets();
    const std::vector<std::string>& table(const std::string& label) const;
    uint32_t statement_of(const std::string& label) const;

    std::vector<Token> tokens_;
    size_t at_ = 0;
    ParsedModule module_;
    std::map<std::string, Function> functions_;
    // Of the kernel that is being read.
    ParsedKernel kernel_;
    std::vector<Scope> scopes_;
    std::string path_;  // of nested braces: "/3/7"
    int instances_ = 0;
    std::vector<std::string> calls_;            // functions that are being read, one in the other
    std::map<std::string, std::string> bound_;  // names of parameters of calls
    std::map<std::string, uint32_t> labels_;
    std::map<std::string, std::vector<std::string>> tables_;
    uint32_t source_line_ = 0;
};

}  // namespace xbench::ptx
