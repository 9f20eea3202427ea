// The build says where the data lie as seen from the program's folder (XB_DATA_FROM_PROGRAM, cmake/xb_install.cmake).
#include "app/installed.h"

#include <unistd.h>

#include "app/command_table.h"
#include "app/completions.h"
#include "app/man_page.h"
#include "bench/base/environment.h"
#include "bench/base/record.h"
#include "bench/sweep/launch.h"
#include "core/error.h"

namespace xbench {

namespace fs = std::filesystem;

std::string find_config(const std::string& given) {
    std::error_code failure;
    if (given.empty() || fs::path(given).is_absolute() || fs::exists(given, failure)) return given;
    const fs::path program = fs::path(this_program()).parent_path();
    for (const char* data : {XB_DATA_FROM_PROGRAM, ".."})  // installed; unpacked from scripts/bundle.sh
        for (const char* folder : {"", "configs"}) {
            const fs::path found = (program / data / folder / given).lexically_normal();
            if (fs::is_regular_file(found, failure)) return found.string();
        }
    return given;  // whoever reads it says that it is not there
}

std::string decode_program() {
    constexpr const char* running = "/proc/self/exe";
    return access(running, X_OK) == 0 ? running : this_program();
}

void write_pages(const CLI::App& program, const fs::path& folder) {
    const std::vector<CommandRow> table = command_table(program);
    const Json build = build_info();
    std::error_code failure;
    fs::create_directories(folder, failure);  // write_text names the file that cannot be written
    for (const CommandRow& command : table)
        write_text(folder / (page_name(command) + ".1"),
                   man_page(command, table, build["version"].get<std::string>(), build["date"].get<std::string>()));
    for (const Shell& shell : shells()) write_text(folder / shell.file, shell.script(table));
}

std::string completion_script(const CLI::App& program, const std::string& shell) {
    for (const Shell& row : shells())
        if (row.name == shell) return row.script(command_table(program));
    throw UsageError("there is no completion for " + shell, "--print-completion", "there are bash, zsh and fish");
}

}  // namespace xbench
