// Commands that one process does, started several times by a launcher, are refused: two must not write one file. And
// parallel trainers that no launcher started are refused, as they would train alone. What the launchers say is in
// core/launched.h.
#pragma once

#include <string>

namespace xbench {

// Throws on every process: a UsageError on the first, on the others ExitWith the same code.
void refuse_several(const std::string& command, const std::string& remedy);

// Throws UsageError where no launcher started this rank of a parallel trainer: it would train alone.
void refuse_without_launcher(const std::string& trainer);

}  // namespace xbench
