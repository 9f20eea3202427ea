// Where and how a run was made: the contents of env.json, and their digest.
#pragma once

#include <string>
#include <vector>

#include "core/hardware.h"
#include "core/json.h"

namespace xbench {

Json build_info();  // version, git commit and dirty flag, compiler, flags, library versions
// build_info, hardware, Slurm and MPI variables, command line, time. `command_line` is argv.
// `hardware` as it was before this process bound itself.
Json describe_environment(const std::vector<std::string>& command_line, const Hardware& hardware);
// A digest of what makes figures comparable: everything but the time, the command line, the load and the job's variables.
std::string environment_id(const Json& environment);

// main's, for where /proc is not there.
void remember_command_line(int argc, char** argv);
std::vector<std::string> this_command_line();  // argv of this process
std::string utc_time(const char* format);      // now; strftime's format
// The first line that a program prints, or "" when it cannot be run.
std::string first_line_of(const std::string& command);
std::string output_of(const std::string& command);  // all of it

}  // namespace xbench
