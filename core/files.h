// Files and folders by the standard library, with its failures said as xbench says them: path, reason, remedy. The functions
// of std::filesystem without an error_code throw their own exception, which names neither what was to be done nor a
// remedy, and which nobody who calls exists() expects; tests/house/library_exceptions.sh keeps them out.
//
// A question about a name below a folder that may not be entered has no answer, so it is a failure, not "no".
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace xbench {

// Following links; a link that leads nowhere is not there.
bool path_exists(const std::filesystem::path& path);
bool is_folder(const std::filesystem::path& path);

// Why a file or folder cannot be made at `path`: the system's reason, in which "no such file" of a folder that is there
// means a file system that takes no new names (/proc, /sys).
std::string reason_for_no_new(const std::filesystem::path& path, const std::error_code& error);

void make_folders(const std::filesystem::path& path);  // those above it too; one that is there is fine
void remove_file(const std::filesystem::path& path);   // also an empty folder; one that is not there is fine
void remove_tree(const std::filesystem::path& path);   // with all that is below it; links are not followed

// The bytes of a file; nothing where it cannot be opened or read to its end (a folder, a disk that fails).
std::optional<std::string> file_text(const std::filesystem::path& path);
uint64_t file_bytes(const std::filesystem::path& path);
// What lies directly in a folder, by name.
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder);

// From the root, and without dots. Fails in a working folder that was deleted.
std::filesystem::path absolute_path(const std::filesystem::path& path);
// Where files for a moment may lie: TMPDIR, else the system's.
std::filesystem::path temporary_folder();

}  // namespace xbench
