// What the commands that make a set share: work that a signal ends tidily, and the ranks that a launcher started for it.
#pragma once

#include <csignal>
#include <functional>
#include <memory>

#include "core/interrupt.h"
#include "parallel/comm/setups.h"

namespace xbench {

// Runs `work`; after a signal it has tidied up, and the process ends by that signal, as the shell expects.
void in_order(const std::function<void(const InterruptGuard&)>& work);

// The ranks that a launcher started; null for one process.
std::unique_ptr<Communicator> connect_ranks();

}  // namespace xbench
