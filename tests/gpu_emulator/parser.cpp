// A recursive-descent reader of the PTX that nvcc, Triton and CUTLASS emit: files, variables, kernels and their parameters.
#include "tests/gpu_emulator/parser.h"

#include <algorithm>

namespace xbench::ptx {
namespace {

uint64_t round_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

}  // namespace

uint32_t type_bytes(std::string_view word) {
    static const std::map<std::string_view, uint32_t> bytes{
        {".b8", 1},   {".u8", 1},  {".s8", 1},  {".b16", 2}, {".u16", 2},   {".s16", 2},   {".f16", 2},
        {".bf16", 2}, {".b32", 4}, {".u32", 4}, {".s32", 4}, {".f32", 4},   {".f16x2", 4}, {".bf16x2", 4},
        {".b64", 8},  {".u64", 8}, {".s64", 8}, {".f64", 8}, {".b128", 16}, {".pred", 1}};
    const auto found = bytes.find(word);
    return found == bytes.end() ? 0 : found->second;
}

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

void Parser::find_functions() {
    while (here().kind != TokenKind::end) {
        if (is("{"))
            skip_braces();
        else if (accept(".func"))
            function();
        else
            ++at_;
    }
    at_ = 0;
}

ParsedModule Parser::run() {
    find_functions();
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
    calls_.clear();
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

ParsedModule parse(const std::string& text) { return Parser(text).run(); }

}  // namespace xbench::ptx
