// A line of problems.cfg taken apart, and the kernel calls that each operator makes of it. Private to problem_list.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kernels/cases/problem_list.h"

namespace xbench {

struct ProblemFields {
    std::string op;
    std::map<std::string, double> numbers;  // "n" -> 8, "p" -> 0.4; a word is 1

    bool has(const std::string& key) const { return numbers.count(key) > 0; }
    double real(const std::string& key, double otherwise) const { return has(key) ? numbers.at(key) : otherwise; }
    int64_t size(const std::string& key, int64_t otherwise = 1) const {
        return has(key) ? static_cast<int64_t>(numbers.at(key)) : otherwise;
    }
    int32_t option(const std::string& key, int64_t otherwise) const { return static_cast<int32_t>(size(key, otherwise)); }
    // "stride_h" falls back to "stride".
    int32_t directed(const std::string& key, const char* axis, int64_t otherwise) const {
        return option(key + axis, size(key, otherwise));
    }
};

// What keys and operators there are; a key is a size or option (number attached), a real (after "="), or a word.
enum class FieldKind { none, number, real, word };
FieldKind kind_of_field(const std::string& key);
bool known_problem_operator(const std::string& op);

// The calls of this operator and its gradients, in every layout; name, line and leaves are filled in by the caller.
std::vector<LayerProblem> operands_of(const ProblemFields& fields);

}  // namespace xbench
