// "Did you mean ...?": the known name that is closest to what was written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace xbench {

// Levenshtein's distance: insertions, deletions and replacements of one byte, and swaps of two neighbours, cost 1 each.
size_t edit_distance(std::string_view a, std::string_view b);

// The closest of `known`, or "" when none is close enough to be a slip of the pen (about one letter in three).
std::string nearest(std::string_view written, const std::vector<std::string>& known);

}  // namespace xbench
