// From a path as it stands in a table to the file below the source that is meant. Tables come from other machines.
// Absolute paths, paths that begin with the source folder, backslashes, and names without folder or extension are resolved
// where only one file fits.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

namespace xbench {

class PathIndex {
public:
    // `files` as walk_folder() gives them: sorted; must outlive this.
    PathIndex(const std::vector<std::string>& files, const std::string& source);

    // The path below the source, or "" when there is no such file. Throws UsageError when it is several.
    std::string find(const std::string& written, const std::string& place) const;
    // "; the nearest file is 'a/b.png'", or "".
    std::string hint(const std::string& written) const;

private:
    bool has(const std::string& path) const;
    std::string below_source(const std::string& path) const;
    std::string by_name(const std::string& written, const std::string& path, const std::string& place) const;

    using Index = std::unordered_map<std::string, std::vector<const std::string*>>;
    const std::vector<std::string>& files_;
    std::string source_name_;          // the last part of the source's path
    std::string source_;               // absolute
    Index by_name_, by_stem_;          // bare names, with and without extension
    Index by_path_stem_, by_escaped_;  // paths without extension; as core/utf8.h escapes them
};

}  // namespace xbench
