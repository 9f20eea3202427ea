// What a training run says while it goes on: progress, and with --log-level debug where it runs and every step.
#pragma once

#include <functional>
#include <string>

#include "app/verbosity.h"
#include "core/communicator.h"
#include "core/hardware.h"
#include "data/set/dataset.h"
#include "parallel/train/train_progress.h"

namespace xbench {

std::function<void(const TrainProgress&)> show_on(ProgressLine& line, const Verbosity& verbosity);
// Trainer, ranks, communicator, cores, kernels and images, a line each.
std::string start_details(const std::string& trainer, const Dataset& dataset, Communicator& communicator,
                          const Binding& binding, const std::string& folder);

}  // namespace xbench
