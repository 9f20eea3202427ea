// A line of problems.cfg, taken apart. The cases.cpp of the operators turn it into calls.
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

}  // namespace xbench
