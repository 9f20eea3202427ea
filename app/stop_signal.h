// Signals that ask a long job to stop in order: Ctrl-C, a closed terminal, a scheduler's time limit. The first one is noted,
// and the job ends at the next place where nothing is lost; a second one ends the process at once.
#pragma once

namespace xbench {

// From now on INT, TERM, HUP (unless nohup has it ignored) and USR1 are noted.
void note_stop_signals();
// The signal that came, or 0.
int stop_signal();

}  // namespace xbench
