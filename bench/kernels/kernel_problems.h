// The lists of problems that the program carries with it: kernels/<op>/problems.cfg as they were when it was configured.
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
