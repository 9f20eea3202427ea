// The rows of all folders (kernels/operators.h) as two tables.
#include "kernels/cases/op_cases.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

const FolderCases& all_cases() {
    static const FolderCases all = [] {
        FolderCases merged;
        const auto add = [&merged](const FolderCases& one) {
            merged.lines.insert(merged.lines.end(), one.lines.begin(), one.lines.end());
            merged.operators.insert(merged.operators.end(), one.operators.begin(), one.operators.end());
        };
#define XB_ADD_CASES(folder) add(folder##_cases());
        XB_OPERATOR_FOLDERS(XB_ADD_CASES)
#undef XB_ADD_CASES
        return merged;
    }();
    return all;
}

}  // namespace

const OpTesting& testing_of(OpKind op) {
    for (const OpTesting& row : all_cases().operators)
        if (row.op == op) return row;
    throw Error(std::string("no folder says how ") + name_of(op) + " is tested", "operators",
                "add a row to the cases.cpp of its folder");
}

const LineKind* find_line(std::string_view name) {
    for (const LineKind& line : all_cases().lines)
        if (name == line.name) return &line;
    return nullptr;
}

}  // namespace xbench
