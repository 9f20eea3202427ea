// Each call asks for the error code and throws Error where there is one.
#include "core/files.h"

#include <algorithm>
#include <array>
#include <fstream>

#include "core/error.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* doing, const std::error_code& error, const fs::path& path, const char* remedy) {
    throw Error(std::string(doing) + ": " + error.message(), path.string(), remedy);
}

constexpr const char* check_path = "check the path and its permissions";

fs::file_status status_of(const fs::path& path) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    const bool missing = status.type() == fs::file_type::not_found;
    if (error && !missing && error != std::errc::too_many_symbolic_link_levels)
        fail("cannot be looked at", error, path, check_path);
    return status;
}

}  // namespace

bool path_exists(const fs::path& path) {
    const fs::file_status status = status_of(path);
    return status.type() != fs::file_type::not_found && status.type() != fs::file_type::none;
}

bool is_folder(const fs::path& path) { return status_of(path).type() == fs::file_type::directory; }

std::string reason_for_no_new(const fs::path& path, const std::error_code& error) {
    if (error != std::errc::no_such_file_or_directory) return error.message();
    std::error_code ignored;
    fs::path above = fs::absolute(path, ignored).lexically_normal().parent_path();
    if (!fs::is_directory(above, ignored)) return error.message();
    return "the file system of " + above.string() + " takes no new files";
}

void make_folders(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path, error);
    if (error)
        throw Error("cannot be made: " + reason_for_no_new(path, error), path.string(), "name a folder that can be written");
}

void remove_file(const fs::path& path) {
    std::error_code error;
    fs::remove(path, error);
    if (error) fail("cannot be removed", error, path, check_path);
}

void remove_tree(const fs::path& path) {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) fail("cannot be removed", error, path, check_path);
}

std::optional<std::string> file_text(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text;
    std::array<char, 1 << 16> piece{};
    while (file.read(piece.data(), piece.size()) || file.gcount() > 0)
        text.append(piece.data(), static_cast<size_t>(file.gcount()));
    if (!file.is_open() || file.bad()) return std::nullopt;
    return text;
}

uint64_t file_bytes(const fs::path& path) {
    std::error_code error;
    const std::uintmax_t bytes = fs::file_size(path, error);
    if (error) fail("its size cannot be read", error, path, check_path);
    return bytes;
}

std::vector<fs::path> list_folder(const fs::path& folder) {
    std::error_code error;
    std::vector<fs::path> found;
    fs::directory_iterator entry(folder, error);
    while (!error && entry != fs::directory_iterator()) {
        found.push_back(entry->path());
        entry.increment(error);
    }
    if (error) fail("cannot be listed", error, folder, check_path);
    std::sort(found.begin(), found.end());
    return found;
}

fs::path absolute_path(const fs::path& path) {
    std::error_code error;
    const fs::path absolute = fs::absolute(path, error);
    if (error) fail("the working folder cannot be told", error, path, "start xbench in a folder that is there");
    return absolute.lexically_normal();
}

fs::path temporary_folder() {
    std::error_code error;
    fs::path folder = fs::temp_directory_path(error);
    if (error) fail("no folder for temporary files", error, folder, "set TMPDIR to a folder that can be written");
    return folder;
}

}  // namespace xbench
