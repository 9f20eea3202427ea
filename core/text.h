// Small helpers for messages.
#pragma once

#include <string>
#include <vector>

namespace xbench {

// The candidate with the smallest edit distance (Levenshtein) to the word; empty when there are no candidates.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace xbench
