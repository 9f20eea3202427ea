// Commands that one process does, started several times by a launcher, are refused: two must not write one file. And
// parallel trainers that no launcher started are refused, as they would train alone. What the launchers say is in
// core/launched.h. And how many threads a process takes, against the cores there are.
#pragma once

#include <string>

namespace xbench {

// Throws on every process: a UsageError on the first, on the others ExitWith the same code.
void refuse_several(const std::string& command, const std::string& remedy);

// Throws UsageError where no launcher started this rank of a parallel trainer: it would train alone.
void refuse_without_launcher(const std::string& trainer);

// Of compute threads that an option may ask for, as a sweep's rows.
constexpr int most_threads = 1024;
// A line on stderr where ranks x threads are more than the cores; nothing otherwise.
void say_if_crowded(int ranks, int threads, int cores);
// `wanted`, or for 0 all cores that this process and its OpenMP threads may use; says so where that is more than there are.
int threads_to_use(int wanted);

}  // namespace xbench
