// Operands, names of registers, labels.
#include <cctype>

#include "tests/gpu_emulator/parser.h"

namespace xbench::ptx {

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

}  // namespace xbench::ptx
