// Bodies: scopes, registers, statements, calls.
#include <algorithm>

#include "tests/gpu_emulator/parser.h"

namespace xbench::ptx {

// From an opening brace to the one that closes it.
void Parser::body(const std::string& prefix, const std::string& return_label) {
    size_t depth = 0;
    do {
        if (accept("{")) {
            scopes_.emplace_back();
            ++depth;
            path_ += "/" + std::to_string(instances_++);
        } else if (accept("}")) {
            scopes_.pop_back();
            --depth;
            path_.resize(path_.rfind('/'));
        } else if (accept(".reg")) {
            declare_registers();
        } else if (is(".local") || is(".shared")) {
            const Space space = take() == ".local" ? Space::local : Space::shared;
            auto [name, declared] = variable(space);
            place(declared);
            kernel_.variables[name] = declared;
        } else if (accept(".param")) {
            declare_parameter();
        } else if (is(".loc")) {
            source_line_ = static_cast<uint32_t>(number_of(tokens_[at_ + 2].text));
            skip_line();
        } else if (is(".pragma")) {
            skip_to_semicolon();
        } else if (accept(";")) {
        } else if (here().kind == TokenKind::word && next_is(":")) {
            label(prefix);
        } else {
            statement(prefix, return_label);
        }
    } while (depth > 0);
    if (!return_label.empty()) labels_[return_label] = static_cast<uint32_t>(kernel_.statements.size());
}

// .reg .b32 %r<12>;  or  .reg .pred p, q;
void Parser::declare_registers() {
    Register kind;
    kind.predicate = is(".pred");
    kind.bytes = kind.predicate ? 4 : static_cast<uint8_t>(std::max(2u, type_bytes(here().text)));
    for (++at_; !is(";"); ++at_) {
        if (here().kind != TokenKind::word) continue;
        if (next_is("<")) {
            scopes_.back().ranges.push_back({std::string(here().text), kind});
            at_ += 3;
        } else {
            scopes_.back().registers[std::string(here().text)] = static_cast<int>(kernel_.registers.size());
            kernel_.registers.push_back(kind);
        }
    }
    ++at_;
}

// A parameter of a call: memory of each lane, under a name of its own.
void Parser::declare_parameter() {
    auto [name, declared] = variable(Space::local);
    place(declared);
    const std::string unique = name + "#" + std::to_string(instances_++);
    kernel_.variables[unique] = declared;
    bound_[name] = unique;
}

void Parser::label(const std::string& prefix) {
    const std::string name = prefix + path_ + "/" + take();
    expect(":");
    if (is(".callprototype") || is(".calltargets")) return skip_to_semicolon();  // of calls that are refused
    if (!accept(".branchtargets")) {
        labels_[name] = static_cast<uint32_t>(kernel_.statements.size());
        return;
    }
    for (; !is(";"); ++at_)
        if (here().kind == TokenKind::word) tables_[name].push_back(prefix + path_ + "/" + std::string(here().text));
    ++at_;
}

void Parser::statement(const std::string& prefix, const std::string& return_label) {
    Statement result;
    result.line = here().line;
    result.source_line = source_line_;
    const size_t begin = at_;
    if (accept("@")) {
        result.guard_negated = accept("!");
        result.guard = find_register(take());
    }
    result.opcode = take();
    for (size_t from = 0; from <= result.opcode.size();) {
        const size_t dot = std::min(result.opcode.find('.', from), result.opcode.size());
        result.words.push_back(result.opcode.substr(from, dot - from));
        from = dot + 1;
    }
    if (result.name() == "call") return call(prefix, result);
    while (!is(";")) {
        result.operands.push_back(operand());
        accept(",");
    }
    for (size_t i = begin; i < at_; ++i) result.text += (i > begin ? " " : "") + std::string(tokens_[i].text);
    expect(";");
    if (result.name() == "bra" || result.name() == "brx")
        for (Operand& target : result.operands)
            if (target.kind == OperandKind::symbol) target.symbol = prefix + path_ + "/" + target.symbol;
    if (result.name() == "ret" && !return_label.empty()) {
        Operand target;
        target.kind = OperandKind::symbol;
        target.symbol = return_label;
        result.words = {"bra"};
        result.operands = {target};
    }
    kernel_.statements.push_back(std::move(result));
}

std::vector<std::string> Parser::names_in_parentheses() {
    std::vector<std::string> names;
    for (expect("("); !is(")"); ++at_)
        if (here().kind == TokenKind::word) names.push_back(std::string(here().text));
    ++at_;
    return names;
}

// Parameters of a call are variables of the caller's (.param), which take the places of the function's.
void Parser::bind(std::map<std::string, std::string>& inner, const std::vector<Parameter>& to,
                  const std::vector<std::string>& from, const std::string& function) const {
    if (from.size() != to.size()) fail("the call of function " + function + " has other parameters than the function");
    for (size_t i = 0; i < from.size(); ++i) {
        const auto own = bound_.find(from[i]);
        if (own == bound_.end()) fail("the call of function " + function + " has parameters that are not in .param space");
        inner[to[i].name] = own->second;
    }
}

void Parser::read_in_place(const std::string& prefix, size_t from, std::map<std::string, std::string> bound) {
    auto outer_names = std::exchange(bound_, std::move(bound));
    auto outer_scopes = std::exchange(scopes_, std::vector<Scope>(1));
    auto outer_path = std::exchange(path_, "");
    const size_t back = std::exchange(at_, from);
    const std::string own = prefix + "#" + std::to_string(instances_++);
    body(own, own + "/return");
    at_ = back;
    bound_ = std::move(outer_names);
    scopes_ = std::move(outer_scopes);
    path_ = std::move(outer_path);
}

// call.uni (results), function, (arguments); - the body is read here, its parameters bound to the caller's. A guarded call
// becomes a branch around it. An assertion that does not hold (__assertfail) is a trap.
void Parser::call(const std::string& prefix, const Statement& read) {
    std::vector<std::string> out, in;
    if (is("(")) {
        out = names_in_parentheses();
        expect(",");
    }
    const std::string name = take();
    if (accept(",") && is("(")) in = names_in_parentheses();
    if (name[0] == '%') fail("a call through the pointer " + name);
    if (name == "__assertfail") {
        Statement trap = read;
        trap.words = {"trap"};
        trap.opcode = "trap";
        trap.text = "call __assertfail";
        kernel_.statements.push_back(trap);
        return skip_to_semicolon();
    }
    const auto found = functions_.find(name);
    if (found == functions_.end()) fail("a call of function " + name + ", which the module does not define");
    std::map<std::string, std::string> inner;
    bind(inner, found->second.out, out, name);
    bind(inner, found->second.in, in, name);
    if (std::find(calls_.begin(), calls_.end(), name) != calls_.end()) fail("function " + name + " calls itself");
    skip_to_semicolon();
    const std::string behind = prefix + "#" + std::to_string(instances_++) + "/behind";
    if (read.guard >= 0) {
        Statement around = read;
        Operand target;
        target.kind = OperandKind::symbol;
        target.symbol = behind;
        around.guard_negated = !read.guard_negated;
        around.words = {"bra"};
        around.opcode = "bra";
        around.text = "the guard of call " + name;
        around.operands = {target};
        kernel_.statements.push_back(around);
    }
    calls_.push_back(name);
    read_in_place(prefix, found->second.body, std::move(inner));
    calls_.pop_back();
    labels_[behind] = static_cast<uint32_t>(kernel_.statements.size());
}

}  // namespace xbench::ptx
