// Folders are splits when their names say so exactly, or when their names say so among other words and classes of the same
// names lie below them. Whatever looks like splits and cannot be told is refused: taken as classes, splits train a model to
// tell training images from test images.
#include "data/import/split_names.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/utf8.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

const char* const remedy =
    "name them train, val and test, list what you want in a CSV (--labels), or take them as classes (--no-split-folders)";

// The words of a name, in lower case: cut at everything that is no letter, and where a capital follows a small letter.
std::vector<std::string> words_of(const std::string& name) {
    std::vector<std::string> words(1);
    for (size_t i = 0; i < name.size(); ++i) {
        const auto letter = static_cast<unsigned char>(name[i]);
        const bool cut = i > 0 && std::isupper(letter) && std::islower(static_cast<unsigned char>(name[i - 1]));
        if (cut || !std::isalpha(letter)) words.emplace_back();
        if (std::isalpha(letter)) words.back() += static_cast<char>(std::tolower(letter));
    }
    std::erase(words, "");
    return words;
}

std::vector<std::string> common_folders(const std::vector<TopFolder>& top) {
    std::vector<std::string> common;
    if (top.empty()) return common;
    for (const std::string& name : top.front().folders) {
        const bool everywhere = std::all_of(top.begin(), top.end(), [&](const TopFolder& folder) {
            return std::any_of(folder.folders.begin(), folder.folders.end(),
                               [&](const std::string& other) { return lower_case(other) == lower_case(name); });
        });
        if (everywhere) common.push_back(name);
    }
    return common;
}

// Two folders are the same split, or one is none: nobody can tell what was meant.
std::map<std::string, Split> all_splits(const std::vector<TopFolder>& top, const std::string& place) {
    std::map<std::string, Split> splits;
    std::map<Split, std::string> seen;
    for (const TopFolder& folder : top) {
        const auto split = split_within(folder.name);
        if (!split) {
            throw UsageError(fmt::format("folder '{}' stands beside train, val and test", escape_bytes(folder.name)), place,
                             "move it away, or list what you want in a CSV (--labels)");
        }
        if (const auto [first, fresh] = seen.emplace(*split, folder.name); !fresh) {
            throw UsageError(fmt::format("folders '{}' and '{}' both look like the split {}", first->second, folder.name,
                                         name_of(*split)),
                             place, remedy);
        }
        splits[folder.name] = *split;
    }
    return splits;
}

// All names have a split among their words.
std::map<std::string, Split> splits_by_words(const std::vector<TopFolder>& top, const std::vector<TopFolder>& nested,
                                             const std::vector<std::string>& common, const std::string& place) {
    std::set<Split> different;
    for (const TopFolder& folder : top) different.insert(*split_within(folder.name));
    if (!nested.empty() && (nested.size() == 1 || !common.empty())) return all_splits(top, place);
    if (nested.empty() && top.size() > 1 && different.size() == top.size()) {
        throw UsageError(
            fmt::format("folders '{}' and '{}' look like splits, and hold no class folders", top[0].name, top[1].name),
            place, remedy);
    }
    return {};
}

}  // namespace

std::optional<Split> split_named(const std::string& name) {
    try {
        return split_from(name);
    } catch (const UsageError&) {
        return std::nullopt;
    }
}

std::optional<Split> split_within(const std::string& name) {
    std::optional<Split> found;
    for (std::string word : words_of(name)) {
        for (const char* tail : {"set", "data", "images", "imgs"}) {  // trainset, testdata
            if (word.size() > std::string(tail).size() && word.ends_with(tail))
                word.resize(word.size() - std::string(tail).size());
        }
        const auto split = split_named(word);
        if (split && found && *split != *found) return std::nullopt;  // "train_test"
        if (split) found = split;
    }
    return found;
}

std::map<std::string, Split> splits_among(const std::vector<TopFolder>& top, const std::string& place) {
    if (top.empty()) return {};
    const auto named = [](const TopFolder& folder) { return split_named(folder.name).has_value(); };
    if (std::any_of(top.begin(), top.end(), named)) return all_splits(top, place);
    // From here on the names are no proof: a class may be called test_positive.
    std::vector<TopFolder> nested;
    std::copy_if(top.begin(), top.end(), std::back_inserter(nested), [](const TopFolder& f) { return !f.folders.empty(); });
    const auto common = common_folders(nested);
    const auto within =
        std::count_if(top.begin(), top.end(), [](const TopFolder& f) { return split_within(f.name).has_value(); });
    if (std::cmp_equal(within, top.size())) return splits_by_words(top, nested, common, place);
    if (nested.size() < top.size()) return {};
    const bool splits_below =
        std::any_of(common.begin(), common.end(), [](const std::string& name) { return split_named(name); });
    if (splits_below && top.size() > 1) {
        throw UsageError(
            fmt::format("the folders hold splits ({}), where classes are expected below splits", fmt::join(common, ", ")),
            place, "move them to train/class, val/class and test/class, or list the files in a CSV (--labels)");
    }
    if (common.size() < (within > 0 ? 1 : 2) || top.size() < 2) return {};
    throw UsageError(fmt::format("folders '{}' and '{}' hold the same folders ({}): splits of unknown names, or classes?",
                                 escape_bytes(top[0].name), escape_bytes(top[1].name),
                                 escape_bytes(fmt::format("{}", fmt::join(common, ", ")))),
                     place, remedy);
}

}  // namespace xbench
