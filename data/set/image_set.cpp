// What every set must have: classes that can be told apart by their names.
#include "data/set/image_set.h"

#include <set>

#include <fmt/core.h>

#include "core/error.h"

namespace xbench {

void check_class_names(const std::vector<std::string>& names, const std::string& where) {
    std::set<std::string> seen;
    for (const std::string& name : names) {
        if (name.empty()) throw Error("a class has no name", where, "give each class a name of its own");
        if (!seen.insert(name).second)
            throw Error(fmt::format("two classes are called '{}'", name), where, "give each class a name of its own");
    }
}

}  // namespace xbench
