// The file: a line each of "xbench-ranks-meet SECRET", "port N", "address A" ..., "end".
#include "parallel/comm/rendezvous.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <random>
#include <sstream>

#include "core/durable_file.h"
#include "core/files.h"

namespace xbench {
namespace {

constexpr const char* first_word = "xbench-ranks-meet";

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

std::string job_name() {
    std::string name = variable("XBENCH_JOB");
    if (name.empty() && !variable("SLURM_JOB_ID").empty())
        name = fmt::format("{}.{}.{}", variable("SLURM_JOB_ID"), variable("SLURM_STEP_ID"), variable("SLURM_RESTART_COUNT"));
    if (name.empty()) name = variable("TORCHELASTIC_RUN_ID");
    for (char& letter : name)
        if (letter == '/') letter = '_';
    return name.empty() ? "job" : name;
}

}  // namespace

std::filesystem::path rendezvous_file() {
    const std::string folder = variable("XBENCH_RENDEZVOUS");
    return absolute_path(std::filesystem::path(folder.empty() ? "." : folder) / (".xbench-ranks-" + job_name()));
}

std::string fresh_secret() {
    std::random_device device;
    std::string secret;
    for (int part = 0; part < 4; ++part) secret += fmt::format("{:08x}", device());
    return secret;
}

void announce(const std::filesystem::path& file, const Meetingplace& place) {
    std::string text = fmt::format("{} {}\nport {}\n", first_word, place.secret, place.port);
    for (const std::string& address : place.addresses) text += "address " + address + "\n";
    write_durably(file, text + "end\n");
}

std::optional<Meetingplace> find_meetingplace(const std::filesystem::path& file) {
    std::istringstream text(file_text(file).value_or(""));
    Meetingplace place;
    for (std::string word, value; text >> word && word != "end";) {
        text >> value;
        if (word == first_word) place.secret = value;
        if (word == "port") std::from_chars(value.data(), value.data() + value.size(), place.port);
        if (word == "address") place.addresses.push_back(value);
    }
    if (place.secret.size() != 32 || place.port <= 0 || place.port > UINT16_MAX) return std::nullopt;
    return place;
}

}  // namespace xbench
