// From the most special kind to the most general.
#include "core/failure.h"

#include <filesystem>
#include <new>
#include <regex>
#include <stdexcept>
#include <system_error>

#include "core/json.h"

namespace xbench {
namespace {

Failure failed(const std::string& what, const std::string& where, const std::string& remedy) {
    return {Error(what, where, remedy).what(), ExitCode::failed};
}

constexpr const char* report_it = "please report it, with the command line and the files that it read";

}  // namespace

Failure failure_of(const std::exception& error) {
    if (const auto* own = dynamic_cast<const Error*>(&error)) return {own->what(), own->code()};
    if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&error))
        return failed(file->code().message(), file->path1().string(), "check the path and its permissions");
    // A length that no container can have was computed from sizes that no memory can have.
    if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr || dynamic_cast<const std::length_error*>(&error) != nullptr)
        return failed("not enough memory", "xbench",
                      "give fewer or smaller images, a smaller batch or model, or raise the limit (ulimit -v, --mem)");
    if (const auto* json = dynamic_cast<const nlohmann::detail::exception*>(&error))
        return failed("a file of JSON is not as xbench writes it: " + json_reason(*json), "xbench", report_it);
    if (dynamic_cast<const std::regex_error*>(&error) != nullptr)
        return failed("a pattern is too long or too deep", "xbench", "write a shorter one");
    if (const auto* system = dynamic_cast<const std::system_error*>(&error))
        return failed(
            "the system refused: " + system->code().message(), "xbench",
            system->code() == std::errc::resource_unavailable_try_again
                ? "raise the limit on threads and processes (ulimit -u, the container's pids), or give fewer --threads"
                : "check the files that it reads, the disk and the network");
    return failed(std::string("something that should not happen: ") + error.what(), "xbench", report_it);
}

}  // namespace xbench
