// Each way of writing a path is tried in turn, the plainest first.
#include "data/import/csv_paths.h"

#include <algorithm>
#include <filesystem>

#include <fmt/core.h>

#include "core/error.h"
#include "core/nearest.h"
#include "core/utf8.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

std::string without_extension(const std::string& path) {
    const size_t dot = path.rfind('.'), slash = path.rfind('/');
    const bool has_dot = dot != std::string::npos && (slash == std::string::npos || dot > slash + 1) && dot > 0;
    return has_dot ? path.substr(0, dot) : path;
}

std::string bare_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string normal(const std::string& path) {
    std::string text = fs::path(path).lexically_normal().generic_string();
    return text.starts_with("./") ? text.substr(2) : text;
}

}  // namespace

PathIndex::PathIndex(const std::vector<std::string>& files, const std::string& source) : files_(files) {
    std::error_code ignored;
    source_ = normal(fs::absolute(source, ignored).generic_string());
    while (source_.size() > 1 && source_.ends_with('/')) source_.pop_back();
    source_name_ = bare_name(source_);
    for (const std::string& file : files_) {
        const std::string name = bare_name(file);
        by_name_[name].push_back(&file);
        by_stem_[without_extension(name)].push_back(&file);
        by_path_stem_[without_extension(file)].push_back(&file);
        if (!is_utf8(file)) by_escaped_[escape_bytes(file)].push_back(&file);
    }
}

bool PathIndex::has(const std::string& path) const { return std::binary_search(files_.begin(), files_.end(), path); }

// What follows the source folder in a path that begins with it, here or on the machine of the table's author.
std::string PathIndex::below_source(const std::string& path) const {
    if (path.starts_with(source_ + "/") && has(path.substr(source_.size() + 1))) return path.substr(source_.size() + 1);
    const std::string mark = "/" + source_name_ + "/", whole = "/" + path;
    for (size_t at = whole.find(mark); at != std::string::npos; at = whole.find(mark, at + 1)) {
        const std::string rest = whole.substr(at + mark.size());
        if (has(rest)) return rest;
        if (const auto stem = by_path_stem_.find(rest); stem != by_path_stem_.end() && stem->second.size() == 1)
            return *stem->second[0];
    }
    return {};
}

std::string PathIndex::by_name(const std::string& written, const std::string& path, const std::string& place) const {
    const bool bare = path.find('/') == std::string::npos;
    for (const Index* index : {bare ? &by_name_ : nullptr, &by_path_stem_, bare ? &by_stem_ : nullptr}) {
        if (index == nullptr) continue;
        const auto found = index->find(path);
        if (found == index->end()) continue;
        if (found->second.size() > 1) {
            throw UsageError(fmt::format("'{}' is {} files, among them {} and {}", written, found->second.size(),
                                         escape_bytes(*found->second[0]), escape_bytes(*found->second[1])),
                             place, "write the path relative to the source folder, with its extension");
        }
        return *found->second[0];
    }
    return {};
}

std::string PathIndex::find(const std::string& written, const std::string& place) const {
    if (written.empty()) return {};
    if (const auto escaped = by_escaped_.find(written); escaped != by_escaped_.end()) return *escaped->second[0];
    std::string path = normal(written);
    if (has(path)) return path;
    if (path.find('\\') != std::string::npos) {
        std::replace(path.begin(), path.end(), '\\', '/');
        path = normal(path);
        if (has(path)) return path;
    }
    if (const std::string found = by_name(written, path, place); !found.empty()) return found;
    return below_source(path);
}

std::string PathIndex::hint(const std::string& written) const {
    std::string name = written;
    std::replace(name.begin(), name.end(), '\\', '/');
    name = bare_name(name);
    const auto same = by_name_.find(name);
    std::string close = same == by_name_.end() ? "" : *same->second[0];
    size_t least = name.size() / 3 + 1;
    for (const std::string& file : files_) {
        if (!close.empty()) break;
        if (lower_case(bare_name(file)) == lower_case(name)) close = file;
    }
    if (close.empty()) {
        for (const std::string& file : files_) {
            const size_t distance = edit_distance(name, bare_name(file));
            if (distance > least) continue;
            if (distance < least || close.empty()) close = file;
            least = distance;
        }
    }
    return close.empty() ? "" : fmt::format("; the nearest file is '{}'", escape_bytes(close));
}

}  // namespace xbench
