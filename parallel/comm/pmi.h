// What a launcher tells its ranks about each other without MPI: one text of rank 0, which all others read. PMIx (srun
// --mpi=pmix, and what else speaks it) and PMI-2 (srun --mpi=pmi2). Their libraries, libpmix.so.2 and libpmi2.so.0, are
// opened at run time, and by pmi.cpp alone.
#pragma once

#include <memory>
#include <string>

namespace xbench {

enum class PmiKind { none, pmix, pmi2 };
const char* name_of(PmiKind kind);  // "PMIx"
// By the variables that the launcher has set for this process.
PmiKind pmi_of_launcher();
bool has_library(PmiKind kind);
// Whether Slurm's PMI-2 alone has started it. Open MPI cannot be started so.
bool has_only_pmi2();

class PmiClient {
public:
    virtual ~PmiClient() = default;
    // Both are called by all ranks in this order, and wait for all; put's text counts of rank 0. Throw Error where the
    // launcher does not answer, or where that takes longer than `seconds` (0: no limit).
    virtual void put(const std::string& text, double seconds) = 0;
    virtual std::string get(double seconds) = 0;
};
// Joins. Throws Error: the library is not here, or the launcher does not answer.
std::unique_ptr<PmiClient> make_pmi_client(PmiKind kind);

}  // namespace xbench
