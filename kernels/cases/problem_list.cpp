// Reading problems.cfg: lines, tokens and their mistakes. The cases.cpp of each operator says what its lines take.
#include "kernels/cases/problem_list.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "kernels/cases/op_cases.h"
#include "kernels/registry.h"

namespace xbench {
namespace {

[[noreturn]] void mistake(const std::string& token, const std::string& where, const std::string& remedy) {
    throw UsageError("cannot read \"" + token + "\"", where, remedy);
}

double parse_number(const std::string& digits, const std::string& token, const std::string& where) {
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) mistake(token, where, "a number follows the key");
    return value;
}

// Whether a line may say this: "h#" (a number follows), "p=" or "relu".
bool takes(const LineKind& line, const std::string& key) {
    std::istringstream keys{std::string("n# leaves# bench ") + line.keys};
    for (std::string known; keys >> known;)
        if (known == key) return true;
    return false;
}

// "n8", "p=0.4" or "relu".
void parse_token(const LineKind& line, const std::string& token, ProblemFields& fields, const std::string& where) {
    const size_t equals = token.find('='), digit = token.find_first_of("0123456789");
    std::string key = token, digits;
    if (takes(line, token)) {
        fields.numbers[token] = 1;
        return;
    }
    if (equals != std::string::npos) {
        key = token.substr(0, equals + 1);
        digits = token.substr(equals + 1);
    } else if (digit != std::string::npos) {
        key = token.substr(0, digit) + "#";
        digits = token.substr(digit);
    }
    if (digits.empty() || !takes(line, key))
        mistake(token, where, std::string("a line of ") + line.name + " takes: n# leaves# bench name= " + line.keys);
    key.pop_back();
    if (fields.has(key)) mistake(token, where, "this key was given before");
    fields.numbers[key] = parse_number(digits, token, where);
}

std::vector<int32_t> even_leaves(int64_t images, int64_t leaves) {
    std::vector<int32_t> begin;
    for (int64_t v = 0; v <= leaves; ++v) begin.push_back(static_cast<int32_t>(v * images / leaves));
    return begin;
}

}  // namespace

Problem LayerProblem::problem() const {
    Problem problem{};
    problem.op = op;
    problem.attrs = plain(attrs);
    problem.n_in = static_cast<int32_t>(in.size());
    problem.n_out = static_cast<int32_t>(out.size());
    std::copy(in.begin(), in.end(), problem.in);
    std::copy(out.begin(), out.end(), problem.out);
    problem.leaves = static_cast<int32_t>(leaf_begin.size()) - 1;
    return problem;
}

std::string LayerProblem::text() const { return to_string(problem()) + " (" + (name.empty() ? line : name) + ")"; }

LayerProblem in_nhwc(LayerProblem problem) {
    for (auto* operands : {&problem.in, &problem.out})
        for (KernelTensor& tensor : *operands)
            if (tensor.rank == 4 && tensor.layout == Layout::plain) tensor.layout = Layout::nhwc;
    return problem;
}

std::vector<LayerProblem> parse_problem(std::string_view line, const std::string& where) {
    std::istringstream tokens{std::string(line.substr(0, line.find('#')))};
    ProblemFields fields;
    std::string name, text, token;
    if (!(tokens >> fields.op)) return {};
    const LineKind* const line_kind = find_line(fields.op);
    if (!line_kind) mistake(fields.op, where, "a line begins with one of the words in the cases.cpp of the operators");
    text = fields.op;
    while (tokens >> token) {
        if (token.starts_with("name=")) {
            name = token.substr(5);
            continue;
        }
        parse_token(*line_kind, token, fields, where);
        text += " " + token;
    }
    if (fields.size("n") < 1 || fields.size("leaves") < 1) mistake(text, where, "n and leaves must be at least 1");
    std::vector<LayerProblem> problems;
    try {
        problems = line_kind->calls(fields);
    } catch (const Error& error) {
        throw UsageError(error.what(), where + ": " + text);
    }
    for (LayerProblem& problem : problems) {
        problem.name = name;
        problem.line = text;
        problem.leaf_begin = even_leaves(fields.size("n"), fields.size("leaves"));
        problem.update = static_cast<uint32_t>(fields.real("update", 1));
        problem.loss_scale = static_cast<float>(fields.real("loss_scale", 0));
        problem.bench_only = fields.has("bench");
    }
    return problems;
}

std::vector<LayerProblem> parse_problems(std::string_view text, const std::string& where) {
    std::istringstream stream{std::string(text)};
    std::vector<LayerProblem> all;
    std::string line;
    for (int number = 1; std::getline(stream, line); ++number) {
        auto problems = parse_problem(line, where + ":" + std::to_string(number));
        all.insert(all.end(), std::make_move_iterator(problems.begin()), std::make_move_iterator(problems.end()));
    }
    return all;
}

std::vector<LayerProblem> load_problems(const std::filesystem::path& file) {
    std::ifstream stream(file);
    if (!stream) throw Error("cannot open the list of problems", file.string());
    std::ostringstream text;
    text << stream.rdbuf();
    return parse_problems(text.str(), file.string());
}

std::vector<LayerProblem> load_all_problems(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const std::filesystem::path& of_operator : list_folder(folder))
        if (path_exists(of_operator / "problems.cfg")) files.push_back(of_operator / "problems.cfg");
    if (files.empty())
        throw Error("no problems.cfg in any folder", folder.string(), "give the folder kernels/ of the source tree");
    std::vector<LayerProblem> all;
    for (const auto& file : files) {
        auto problems = load_problems(file);
        all.insert(all.end(), std::make_move_iterator(problems.begin()), std::make_move_iterator(problems.end()));
    }
    return all;
}

}  // namespace xbench
