// The file: a line each of "xbench-ranks-meet SECRET", "port N", "address A" ..., "end". The line: "SECRET:PORT:A,A,...".
#include "parallel/comm/rendezvous.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <random>
#include <sstream>

#include "core/durable_file.h"
#include "core/error.h"
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

constexpr size_t longest_line = 1000;  // PMI-2 carries 1024

bool is_possible(const Meetingplace& place) {
    return place.secret.size() == 32 && place.port > 0 && place.port <= UINT16_MAX;
}

class MeetingByFile final : public Meeting {
public:
    explicit MeetingByFile(std::filesystem::path file) : file_(std::move(file)) {}
    std::string name() const override { return file_.string(); }
    std::string remedy() const override {
        return "all ranks must see this folder (XBENCH_RENDEZVOUS names another) and have one XBENCH_JOB, if any";
    }
    void announce(const Meetingplace& place, double) override { xbench::announce(file_, place); }
    std::optional<Meetingplace> find(double) override { return find_meetingplace(file_); }
    void end() noexcept override { remove_file(file_); }

private:
    const std::filesystem::path file_;
};

class MeetingByLauncher final : public Meeting {
public:
    explicit MeetingByLauncher(PmiKind kind) : kind_(kind), client_(make_pmi_client(kind)) {}
    std::string name() const override { return name_of(kind_); }
    std::string remedy() const override { return "the nodes must reach each other over TCP (IPv4)"; }
    void announce(const Meetingplace& place, double seconds) override {
        client_->put(one_line(place), seconds);
        client_->get(seconds);
    }
    std::optional<Meetingplace> find(double seconds) override {
        if (place_) return place_;
        client_->put("", seconds);
        const std::string line = client_->get(seconds);
        place_ = meetingplace_from(line);
        if (!place_) throw Error("rank 0 says nothing of use: \"" + line + "\"", name());
        return place_;
    }

private:
    const PmiKind kind_;
    const std::unique_ptr<PmiClient> client_;
    std::optional<Meetingplace> place_;
};

}  // namespace

std::filesystem::path rendezvous_file(const std::filesystem::path& folder, const std::string& job) {
    return absolute_path(folder / (".xbench-ranks-" + job));
}

std::filesystem::path rendezvous_file() {
    const std::string folder = variable("XBENCH_RENDEZVOUS");
    return rendezvous_file(folder.empty() ? "." : folder, job_name());
}

std::unique_ptr<Meeting> meeting_by_file(const std::filesystem::path& file) { return std::make_unique<MeetingByFile>(file); }

std::unique_ptr<Meeting> meeting_by_launcher(PmiKind kind) { return std::make_unique<MeetingByLauncher>(kind); }

std::unique_ptr<Meeting> choose_meeting() {
    const std::string asked = variable("XBENCH_RENDEZVOUS");
    if (asked == "pmix") return meeting_by_launcher(PmiKind::pmix);
    if (asked == "pmi2") return meeting_by_launcher(PmiKind::pmi2);
    const PmiKind kind = asked.empty() ? pmi_of_launcher() : PmiKind::none;
    return has_library(kind) ? meeting_by_launcher(kind) : meeting_by_file(rendezvous_file());
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
    if (!is_possible(place)) return std::nullopt;
    return place;
}

std::string one_line(const Meetingplace& place) {
    std::string line = fmt::format("{}:{}:", place.secret, place.port), addresses;
    for (const std::string& address : place.addresses)
        if (line.size() + addresses.size() + address.size() < longest_line)
            addresses += (addresses.empty() ? "" : ",") + address;
    return line + addresses;
}

std::optional<Meetingplace> meetingplace_from(const std::string& line) {
    Meetingplace place;
    std::istringstream text(line);
    std::string port;
    std::getline(text, place.secret, ':');
    std::getline(text, port, ':');
    std::from_chars(port.data(), port.data() + port.size(), place.port);
    for (std::string address; std::getline(text, address, ',');) place.addresses.push_back(address);
    if (!is_possible(place)) return std::nullopt;
    return place;
}

}  // namespace xbench
