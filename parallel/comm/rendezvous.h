// Where ranks meet that no MPI has introduced to each other: rank 0 says where it listens.
//
// By a file in a folder that all of them see, which appears whole (it is renamed into its place) and goes away when all have
// come. A file that an earlier job left behind leads nowhere, or to somebody who does not know its secret: whoever reads it
// tries again. Or by what their launcher carries between them (parallel/comm/pmi.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parallel/comm/pmi.h"

namespace xbench {

struct Meetingplace {
    std::string secret;  // 32 hex digits, drawn by rank 0
    int port = 0;
    std::vector<std::string> addresses;  // of rank 0's node, IPv4
};

// XBENCH_RENDEZVOUS=FOLDER, else the working folder; the name holds XBENCH_JOB, or Slurm's numbers of job, step and restart.
std::filesystem::path rendezvous_file();
std::filesystem::path rendezvous_file(const std::filesystem::path& folder, const std::string& job);

// How the ranks of this process' job learn it.
class Meeting {
public:
    virtual ~Meeting() = default;
    virtual std::string name() const = 0;    // for messages
    virtual std::string remedy() const = 0;  // where somebody does not come
    // Of rank 0; may wait for the others, at most so many seconds (0: no limit). Throws Error.
    virtual void announce(const Meetingplace& place, double seconds) = 0;
    virtual std::optional<Meetingplace> find(double seconds) = 0;  // of the others; nothing: ask again
    virtual void end() noexcept {}                                 // of rank 0: all have come, or it gives up
};
std::unique_ptr<Meeting> meeting_by_file(const std::filesystem::path& file);
std::unique_ptr<Meeting> meeting_by_launcher(PmiKind kind);
// XBENCH_RENDEZVOUS=pmix, pmi2 or a folder; unset, by the launcher where it carries a text and its library is here, else by
// a file. Throws Error.
std::unique_ptr<Meeting> choose_meeting();

std::string fresh_secret();
void announce(const std::filesystem::path& file, const Meetingplace& place);  // throws Error
// Nothing where there is no such file, or not of this form.
std::optional<Meetingplace> find_meetingplace(const std::filesystem::path& file);
// On one line without spaces, of at most 1000 letters: addresses that no longer fit are left out.
std::string one_line(const Meetingplace& place);
std::optional<Meetingplace> meetingplace_from(const std::string& line);

}  // namespace xbench
