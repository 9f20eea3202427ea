// Where ranks meet that no MPI has introduced to each other: a folder that all of them see. Rank 0 writes where it listens
// into a file there, which appears whole (it is renamed into its place) and goes away when all have come. A file that an
// earlier job left behind leads nowhere, or to somebody who does not know its secret: whoever reads it tries again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace xbench {

struct Meetingplace {
    std::string secret;  // 32 hex digits, drawn by rank 0
    int port = 0;
    std::vector<std::string> addresses;  // of rank 0's node, IPv4
};

// XBENCH_RENDEZVOUS=FOLDER, else the working folder; the name holds XBENCH_JOB, or Slurm's numbers of job, step and restart.
std::filesystem::path rendezvous_file();

std::string fresh_secret();
void announce(const std::filesystem::path& file, const Meetingplace& place);  // throws Error
// Nothing where there is no such file, or not of this form.
std::optional<Meetingplace> find_meetingplace(const std::filesystem::path& file);

}  // namespace xbench
