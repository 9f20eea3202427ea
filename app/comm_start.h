// Starting the ranks of `xbench comm` on this machine: by mpirun or srun where this build has MPI, else as processes of its
// own, as ranks with a GPU each are. The end of one is the end of all.
#pragma once

#include <string>
#include <vector>

namespace xbench {

// Tells ranks that this program started without MPI the name under which they meet (parallel/comm/shm_meeting.h).
inline constexpr const char* meeting_variable = "XBENCH_COMM_MEETING";

struct RankStart {
    int ranks = 0;  // 0: as many as there are cores
    std::vector<std::string> command_line;
};

// Each returns when the ranks have ended, or becomes their launcher. Throws Error where one has failed.
void start_cpu_ranks(RankStart start);
void start_gpu_ranks(const RankStart& start);

}  // namespace xbench
