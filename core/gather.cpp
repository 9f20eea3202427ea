// Texts as bytes.
#include "core/gather.h"

namespace xbench {

std::string gather_text(ControlPlane& ranks, const std::string& mine) {
    const std::vector<char> all = gather_values(ranks, std::vector<char>(mine.begin(), mine.end()));
    return {all.begin(), all.end()};
}

std::vector<std::string> gather_texts(ControlPlane& ranks, const std::string& mine) {
    const std::string all = gather_text(ranks, mine + '\0');
    std::vector<std::string> texts;
    for (size_t at = 0; at < all.size(); at += texts.back().size() + 1) texts.emplace_back(all.c_str() + at);
    return texts;
}

std::string from_rank_0(ControlPlane& ranks, const std::string& mine) {
    return gather_text(ranks, ranks.rank() == 0 ? mine : "");
}

}  // namespace xbench
