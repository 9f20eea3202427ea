// Which kernels are timed on which problems, and their names.
#include <algorithm>
#include <regex>
#include <set>

#include "bench/kernels/kernel_problems.h"
#include "bench/kernels/kernel_suite.h"
#include "core/error.h"
#include "core/nearest.h"
#include "core/tensor.h"

namespace xbench {

std::vector<LayerProblem> bundled_problems() {
    std::vector<LayerProblem> all;
    for (const ProblemListText& list : problem_list_texts()) {
        auto problems = parse_problems(list.text, list.path);
        all.insert(all.end(), std::make_move_iterator(problems.begin()), std::make_move_iterator(problems.end()));
    }
    return all;
}

namespace {

std::string line_operator(const LayerProblem& problem) { return problem.line.substr(0, problem.line.find(' ')); }

std::string layout_of(const KernelTensor& tensor) { return tensor.rank == 4 ? name_of(tensor.layout) : "flat"; }

// "nchw16c", or "plain-nchw16c" where the two sides differ; "" for operators without images. The output of a wgrad is a
// filter: its sides are x and dy.
std::string layouts_of(const LayerProblem& problem) {
    const bool wgrad = problem.op == OpKind::conv2d_wgrad;
    const std::string from = layout_of(problem.in.at(0)), to = layout_of(wgrad ? problem.in.at(1) : problem.out.at(0));
    if (from == to) return from == "flat" ? "" : from;
    const bool conversion = problem.op == OpKind::flatten || (from != "flat" && to != "flat");
    return conversion ? from + "-" + to : from == "flat" ? to : from;
}

std::string base_name(const LayerProblem& problem) {
    std::string layer = problem.name.empty() ? problem.line : problem.name;
    std::replace(layer.begin(), layer.end(), ' ', '_');
    const std::string layouts = layouts_of(problem);
    return std::string(name_of(problem.op)) + "/" + layer + (layouts.empty() ? "" : "/" + layouts);
}

// Two lines may give their layers the same name.
std::string unique(const std::string& name, std::set<std::string>& taken) {
    std::string result = name;
    for (int number = 2; !taken.insert(result).second; ++number) result = name + "#" + std::to_string(number);
    return result;
}

bool is_plain(const LayerProblem& problem) { return layouts_of(problem) == "plain"; }

bool can_run(const Kernel& row, const LayerProblem& problem, const Target& target) {
    return row.op == problem.op && runs_on(row, target) && supports(row, problem.problem());
}

const Choice* choice_for(const LayerProblem& problem, const KernelSuiteOptions& options) {
    const Choice* found = nullptr;
    for (const Choice& choice : options.forced)
        if (choice.op == name_of(problem.op)) found = &choice;
    return found;
}

// The rows to time on this problem, by the options alone.
std::vector<const Kernel*> rows_for(const LayerProblem& problem, const KernelSuiteOptions& options, const Target& target) {
    const Choice* choice = choice_for(problem, options);
    std::vector<const Kernel*> rows;
    for (const Kernel& row : kernel_table()) {
        if (!can_run(row, problem, target) || (choice && choice->kernel != row.name)) continue;
        if (!choice && !options.all_impls && !is_candidate(row, problem.problem())) continue;
        rows.push_back(&row);
        if (!options.all_impls) break;  // the first is what select() takes
    }
    return rows;
}

bool only_reference(const std::vector<const Kernel*>& rows) {
    return std::all_of(rows.begin(), rows.end(), [](const Kernel* row) { return row == &reference(row->op); });
}

void check_operator(std::span<const LayerProblem> problems, const std::string& op) {
    if (op.empty()) return;
    std::set<std::string> known;
    for (const LayerProblem& problem : problems) known.insert({line_operator(problem), name_of(problem.op)});
    if (known.count(op)) return;
    const std::string near = nearest(op, {known.begin(), known.end()});
    std::string all;
    for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
    throw UsageError("no problems for the operator " + op, "--op",
                     near.empty() ? "there are: " + all : "did you mean " + near + "?");
}

void check_choices(const KernelSuiteOptions& options, const Target& target) {
    for (const Choice& choice : options.forced) {
        std::set<std::string> names;
        for (const Kernel& row : kernel_table()) {
            if (choice.op != name_of(row.op)) continue;
            names.insert(row.name);
            if (choice.kernel != row.name || kind_of(row) != target.kind || !row.why_missing) continue;
            if (const char* const why = row.why_missing())
                throw UsageError(choice.kernel + " of " + choice.op + " cannot run", "--impl", why);
        }
        if (names.count(choice.kernel)) continue;
        std::string all;
        for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
        throw UsageError("the operator " + choice.op + " has no implementation " + choice.kernel, "--impl",
                         names.empty() ? "there is no such operator" : "it has: " + all);
    }
}

constexpr size_t longest_filter = 200;  // a regular expression recurses over its own text, and over the names

std::regex expression(const std::string& filter) {
    if (filter.size() > longest_filter)
        throw UsageError(std::to_string(filter.size()) + " characters", "--filter",
                         "give a regular expression of at most " + std::to_string(longest_filter));
    try {
        return std::regex(filter);
    } catch (const std::regex_error& error) {
        throw UsageError("cannot read the regular expression '" + filter + "': " + error.what(), "--filter");
    }
}

// Whether a line says in which numbers products are made.
bool names_products(const std::string& line) { return std::regex_search(line, std::regex(R"(\b(bf16|f16|tf32)\b)")); }

}  // namespace

std::vector<LayerProblem> convolutions_to_time(const std::string& filter) {
    const std::regex wanted = expression(filter);
    std::vector<LayerProblem> layers;
    std::set<std::string> seen;
    for (const LayerProblem& problem : bundled_problems())
        if (problem.op == OpKind::conv2d && problem.bench_only && !names_products(problem.line) &&
            std::regex_search(problem.name, wanted) && seen.insert(problem.name).second)
            layers.push_back(problem);
    return layers;
}

KernelSelection select_entries(std::span<const LayerProblem> problems, const KernelSuiteOptions& options,
                               const Target& target) {
    check_operator(problems, options.op);
    check_choices(options, target);
    const std::regex wanted = expression(options.filter);
    std::set<std::string> fast;  // operators of a line that have a real kernel in some layout
    const auto key = [](const LayerProblem& problem) { return name_of(problem.op) + ("/" + problem.line); };
    for (const LayerProblem& problem : problems)
        if (!only_reference(rows_for(problem, options, target))) fast.insert(key(problem));

    KernelSelection selection;
    std::set<std::string> names;
    for (const LayerProblem& problem : problems) {
        if (!options.op.empty() && options.op != line_operator(problem) && options.op != name_of(problem.op)) continue;
        const bool chosen = options.all_impls || choice_for(problem, options);
        const auto rows = rows_for(problem, options, target);
        for (const Kernel* row : rows) {
            std::string name = base_name(problem);
            if (options.all_impls) name += std::string("/") + row->name + "." + name_of(row->isa);
            if (!std::regex_search(name, wanted)) continue;
            if (!chosen &&
                ((only_reference(rows) && fast.count(key(problem))) || (problem.bench_only && is_plain(problem)))) {
                ++selection.left_out;
                continue;
            }
            selection.entries.push_back({unique(name, names), problem, row});
        }
    }
    if (selection.entries.empty())
        throw UsageError("no problem is left to time", "--op, --impl and --filter",
                         "names look like conv2d/resnet50.conv1/plain-nchw16c");
    return selection;
}

}  // namespace xbench
