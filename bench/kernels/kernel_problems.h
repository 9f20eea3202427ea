// The lists of problems that are built into the program: kernels/<op>/problems.cfg as they were at configuration.
#pragma once

#include <string>
#include <vector>

#include "kernels/cases/problem_list.h"

namespace xbench {

struct ProblemListText {
    const char* path;  // "kernels/conv2d/problems.cfg"
    const char* text;
};

std::vector<ProblemListText> problem_list_texts();  // in the generated file, see cmake/xb_problem_lists.cmake
std::vector<LayerProblem> bundled_problems();       // all of them

}  // namespace xbench
