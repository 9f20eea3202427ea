// Random lines of kernels/*/problems.cfg, far outside those lists: odd sizes around the widths of vectors and blocks, uneven
// windows, strides larger than windows, paddings, dilations, groups, and cuts of the batch into any leaves.
#pragma once

#include <string>

#include "kernels/cases/problem_list.h"
#include "search.h"

namespace xbench::test {

// "max_pool2d n2 c20 h12 ...": a line that parses and whose reference takes milliseconds.
std::string random_problem_line(Draw& draw);

// Any ascending cuts, empty leaves too: the same split for all calls of a line.
std::vector<int32_t> random_leaves(Draw& draw, int64_t images);

}  // namespace xbench::test
