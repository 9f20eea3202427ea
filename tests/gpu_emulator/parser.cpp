// A recursive-descent reader of the PTX that nvcc, Triton and CUTLASS emit. Functions (.func) are kept as places in the text
// and read again, with other names bound to their parameters, at each call: a call costs nothing and needs no stack.
#include <functional>
#include <stdexcept>
#include <utility>

#include "tests/gpu_emulator/lexer.h"
#include "tests/gpu_emulator/syntax.h"

namespace xbench::ptx {
namespace {

// Bytes of ".b32" and its like; 0: no type.
uint32_t type_bytes(std::string_view word) {
    static const std::map<std::string_view, uint32_t> bytes{
        {".b8", 1},   {".u8", 1},  {".s8", 1},  {".b16", 2}, {".u16", 2},   {".s16", 2},   {".f16", 2},
        {".bf16", 2}, {".b32", 4}, {".u32", 4}, {".s32", 4}, {".f32", 4},   {".f16x2", 4}, {".bf16x2", 4},
        {".b64", 8},  {".u64", 8}, {".s64", 8}, {".f64", 8}, {".b128", 16}, {".pred", 1}};
    const auto found = bytes.find(word);
    return found == bytes.end() ? 0 : found->second;
}

uint64_t round_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

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
    void call(const std::string& prefix);
    std::vector<std::string> names_in_parentheses();
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
    std::map<std::string, std::string> bound_;  // names of parameters of calls
    std::map<std::string, uint32_t> labels_;
    std::map<std::string, std::vector<std::string>> tables_;
    uint32_t source_line_ = 0;
};

void Parser::skip_line() {
    for (const uint32_t line = here().line; here().kind != TokenKind::end && here().line == line;) ++at_;
}

void Parser::skip_to_semicolon() {
    while (!is(";")) ++at_;
    ++at_;
}

void Parser::skip_braces() {
    int depth = 0;
    do {
        depth += is("{") ? 1 : is("}") ? -1 : 0;
        ++at_;
    } while (depth > 0);
}

ParsedModule Parser::run() {
    while (here().kind != TokenKind::end) {
        if (is(".file")) {
            file();
            continue;
        }
        if (is(".version") || is(".target") || is(".address_size") || is(".loc")) {
            skip_line();
            continue;
        }
        if (is(".section")) {
            while (!is("{")) ++at_;
            skip_braces();
            continue;
        }
        bool outside = false;
        while (is(".visible") || is(".extern") || is(".weak") || is(".common")) outside |= take() == ".extern";
        if (is(".global") || is(".const")) {
            ++at_;
            auto [name, declared] = variable(Space::global);
            module_.variables[name] = declared;
        } else if (accept(".shared")) {
            auto [name, declared] = variable(Space::shared);
            declared.dynamic |= outside;
            module_.variables[name] = declared;
        } else if (accept(".func")) {
            function();
        } else if (accept(".entry")) {
            kernel();
        } else if (is(".alias") || is(".pragma")) {
            skip_to_semicolon();
        } else if (!accept(";")) {
            fail("unexpected '" + std::string(here().text) + "'");
        }
    }
    return std::move(module_);
}

// .file 1 "kernels/pool2d/max_pool.cu"
void Parser::file() {
    for (const uint32_t line = here().line; here().kind != TokenKind::end && here().line == line; ++at_)
        if (here().kind == TokenKind::text && module_.source_file.empty()) module_.source_file = std::string(here().text);
}

std::vector<Parameter> Parser::parameters() {
    std::vector<Parameter> all;
    if (!accept("(")) return all;
    for (uint32_t offset = 0; !is(")");) {
        uint32_t alignment = 0, bytes = 0, count = 1;
        Parameter parameter;
        for (; !is(",") && !is(")"); ++at_) {
            if (is(".align")) {
                alignment = static_cast<uint32_t>(number_of(tokens_[++at_].text));
            } else if (is(".ptr")) {
                while (!is(".align")) ++at_;
                ++at_;
            } else if (is("[")) {
                count = static_cast<uint32_t>(number_of(tokens_[++at_].text));
                ++at_;
            } else if (const uint32_t size = type_bytes(here().text)) {
                bytes = size;
            } else if (here().text[0] != '.') {
                parameter.name = std::string(here().text);
            }
        }
        offset = static_cast<uint32_t>(round_up(offset, std::max({alignment, bytes, 1u})));
        parameter.offset = offset;
        parameter.bytes = bytes * count;
        offset += parameter.bytes;
        all.push_back(parameter);
        accept(",");
    }
    expect(")");
    return all;
}

// After the word of the space: .align 16 .b8 name[64] = {1, 2};
std::pair<std::string, Variable> Parser::variable(Space space) {
    Variable result;
    result.space = space;
    uint32_t size = 1;
    for (; here().text[0] == '.'; ++at_) {
        if (is(".align"))
            result.alignment = static_cast<uint32_t>(number_of(tokens_[++at_].text));
        else if (const uint32_t bytes = type_bytes(here().text)) {
            size = bytes;
            result.alignment = std::max(result.alignment, bytes);
        }
    }
    const std::string name = take();
    uint64_t count = 1;
    bool open = false;
    while (accept("[")) {
        if (accept("]")) {
            open = true;
            continue;
        }
        count *= number_of(take());
        expect("]");
    }
    if (accept("=")) {
        for (; !is(";"); ++at_) {
            if (here().kind == TokenKind::word) fail("an initial value with a symbol, of " + name);
            if (here().kind != TokenKind::number) continue;
            uint64_t value = number_of(here().text);
            if (tokens_[at_ - 1].text == "-") value = ~value + 1;
            for (uint32_t b = 0; b < size; ++b) result.initial.push_back(static_cast<uint8_t>(value >> (8 * b)));
        }
        if (open) count = result.initial.size() / size;
        open = false;
    }
    expect(";");
    result.dynamic = open;
    result.bytes = open ? 0 : size * count;
    return {name, result};
}

void Parser::function() {
    Function function;
    if (is("(")) function.out = parameters();
    const std::string name = take();
    function.in = parameters();
    while (!is("{") && !is(";")) ++at_;
    if (accept(";")) return;
    function.body = at_;
    functions_[name] = function;
    skip_braces();
}

// Gives a shared or local variable its address in the kernel.
void Parser::place(Variable& variable) {
    uint32_t& top = variable.space == Space::shared ? kernel_.shared_bytes : kernel_.local_bytes;
    top = static_cast<uint32_t>(round_up(top, variable.alignment));
    variable.address = top;
    if (!variable.dynamic) top += static_cast<uint32_t>(variable.bytes);
}

void Parser::module_shared(bool dynamic) {
    for (const auto& [name, declared] : module_.variables) {
        if (declared.space != Space::shared || declared.dynamic != dynamic) continue;
        Variable own = declared;
        if (dynamic) own.alignment = std::max(own.alignment, 16u);
        place(own);
        kernel_.variables[name] = own;
    }
}

void Parser::kernel() {
    kernel_ = {};
    scopes_.clear();
    labels_.clear();
    tables_.clear();
    bound_.clear();
    path_.clear();
    kernel_.name = take();
    kernel_.parameters = parameters();
    if (!kernel_.parameters.empty())
        kernel_.parameter_bytes = kernel_.parameters.back().offset + kernel_.parameters.back().bytes;
    while (!is("{")) {
        if (!is(".maxntid") && !is(".reqntid")) {
            ++at_;
            continue;
        }
        kernel_.most_threads = 1;
        for (++at_; here().kind == TokenKind::number || is(","); ++at_)
            if (here().kind == TokenKind::number) kernel_.most_threads *= static_cast<uint32_t>(number_of(here().text));
    }
    module_shared(false);
    body("", "");
    module_shared(true);
    Statement exit;
    exit.words = {"exit"};
    exit.opcode = exit.text = "exit";
    kernel_.statements.push_back(exit);
    resolve_targets();
    module_.kernels.push_back(std::move(kernel_));
}

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
    if (result.name() == "call") return call(prefix);
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

// call.uni (results), function, (arguments); - the body is read here, its parameters bound to the caller's.
void Parser::call(const std::string& prefix) {
    std::vector<std::string> out, in;
    if (is("(")) {
        out = names_in_parentheses();
        expect(",");
    }
    const std::string name = take();
    if (accept(",") && is("(")) in = names_in_parentheses();
    skip_to_semicolon();
    const auto found = functions_.find(name);
    if (found == functions_.end()) {
        Statement unknown;
        unknown.words = {"call"};
        unknown.opcode = unknown.text = "call " + name;
        unknown.source_line = source_line_;
        kernel_.statements.push_back(unknown);
        return;
    }
    std::map<std::string, std::string> inner;
    for (size_t i = 0; i < out.size(); ++i) inner[found->second.out[i].name] = bound_[out[i]];
    for (size_t i = 0; i < in.size(); ++i) inner[found->second.in[i].name] = bound_[in[i]];
    auto outer_names = std::exchange(bound_, inner);
    auto outer_scopes = std::exchange(scopes_, std::vector<Scope>(1));
    auto outer_path = std::exchange(path_, "");
    const size_t back = std::exchange(at_, found->second.body);
    const std::string own = prefix + "#" + std::to_string(instances_++);
    body(own, own + "/return");
    at_ = back;
    bound_ = std::move(outer_names);
    scopes_ = std::move(outer_scopes);
    path_ = std::move(outer_path);
}

Operand Parser::list(std::string_view close) {
    Operand result;
    result.kind = OperandKind::vector;
    while (!accept(close)) {
        result.elements.push_back(operand());
        accept(",");
    }
    return result;
}

// [%r1+4], [symbol+4], [64], [map, {x, y}]
Operand Parser::address() {
    Operand result = plain_operand();
    if (accept(",")) result.elements.push_back(operand());
    expect("]");
    if (result.kind == OperandKind::immediate) result.reg = -1;
    result.kind = OperandKind::address;
    return result;
}

Operand Parser::operand() {
    if (accept("{")) return list("}");
    if (accept("(")) return list(")");
    if (accept("[")) return address();
    return plain_operand();
}

Operand Parser::plain_operand() {
    Operand result;
    result.negated = accept("!");
    const bool minus = accept("-");
    if (here().kind == TokenKind::number) {
        result.kind = OperandKind::immediate;
        result.immediate = number_of(take());
        if (minus) result.immediate = ~result.immediate + 1;
    } else {
        const std::string name = take();
        if (name == "_") {
            result.kind = OperandKind::sink;
        } else if ((result.reg = find_register(name)) >= 0) {
            result.kind = OperandKind::reg;
        } else {
            result.kind = OperandKind::symbol;
            const auto other = bound_.find(name);
            result.symbol = other == bound_.end() ? name : other->second;
        }
        if (accept("|") && !accept("_")) result.second_reg = find_register(take());
    }
    while (is("+") || (is("-") && tokens_[at_ + 1].kind == TokenKind::number)) {
        bool subtract = take() == "-";
        if (accept("-")) subtract = !subtract;
        const uint64_t value = number_of(take());
        result.immediate += subtract ? ~value + 1 : value;
    }
    return result;
}

// -1: no register of this name is in scope.
int Parser::find_register(std::string_view name) {
    const auto add = [&](Scope& scope, const Register& kind) {
        const int id = static_cast<int>(kernel_.registers.size());
        kernel_.registers.push_back(kind);
        scope.registers[std::string(name)] = id;
        return id;
    };
    for (size_t s = scopes_.size(); s-- > 0;) {
        const auto found = scopes_[s].registers.find(name);
        if (found != scopes_[s].registers.end()) return found->second;
        for (const RegisterRange& range : scopes_[s].ranges)
            if (name.size() > range.prefix.size() && name.starts_with(range.prefix) &&
                std::isdigit(static_cast<unsigned char>(name[range.prefix.size()])))
                return add(scopes_[s], range.kind);
    }
    if (name[0] != '%' && name != "WARP_SZ") return -1;
    Register special;
    special.special = std::string(name);
    special.bytes = name.find("64") != std::string_view::npos || name == "%globaltimer" ? 8 : 4;
    return add(scopes_.front(), special);
}

// The innermost braces that know the name.
template <class Map>
static auto find_outwards(const Map& map, const std::string& label) {
    const std::string name = label.substr(label.rfind('/') + 1);
    std::string path = label.substr(0, label.size() - name.size() - 1);
    for (;;) {
        const auto found = map.find(path + "/" + name);
        if (found != map.end()) return found;
        const size_t cut = path.rfind('/');
        if (cut == std::string::npos) return map.find(label);
        path.resize(cut);
    }
}

uint32_t Parser::statement_of(const std::string& label) const {
    const auto found = find_outwards(labels_, label);
    if (found == labels_.end()) throw std::runtime_error("kernel " + kernel_.name + ": no label " + label);
    return found->second;
}

const std::vector<std::string>& Parser::table(const std::string& label) const {
    const auto found = find_outwards(tables_, label);
    if (found == tables_.end()) throw std::runtime_error("kernel " + kernel_.name + ": no branch targets " + label);
    return found->second;
}

void Parser::resolve_targets() {
    for (Statement& statement : kernel_.statements) {
        if (statement.name() == "bra") statement.targets = {statement_of(statement.operands[0].symbol)};
        if (statement.name() != "brx") continue;
        for (const std::string& label : table(statement.operands[1].symbol))
            statement.targets.push_back(statement_of(label));
    }
}

}  // namespace

ParsedModule parse(const std::string& text) { return Parser(text).run(); }

}  // namespace xbench::ptx
