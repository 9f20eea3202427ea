// Commands that one process does, started several times by a launcher: the first does the work, or all are refused; never do
// two write one file.
#pragma once

#include <string>

namespace xbench {

// Whether this process is to do the work: the first, with a word about the others; they end well, without one.
bool is_the_worker(const std::string& command);

// Throws on every process: a UsageError on the first, on the others ExitWith the same code.
void refuse_several(const std::string& command, const std::string& remedy);

// Throws UsageError where no launcher started this rank of a parallel trainer: it would train alone.
void refuse_without_launcher(const std::string& trainer);

}  // namespace xbench
