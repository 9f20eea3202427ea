// The ranks of `xbench train`: how they find each other, what they talk over, and on which cores they compute.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "core/config.h"
#include "core/hardware.h"
#include "parallel/comm/comm_logged.h"
#include "parallel/comm/setups.h"

namespace xbench {

// The ranks find each other. A rank that fails says so in one line, and its end is the others'.
std::unique_ptr<Communicator> connect_ranks(const TrainerSetup& setup, const Config& config, const Binding& binding);

// With the slow link or the ideal network that the configuration asks for. Over an ideal network ranks reduce in the way
// that they choose over the real one.
std::unique_ptr<Communicator> over_network(std::unique_ptr<Communicator> ranks, const Config& config);

// Null: ranks' arrivals are not logged.
std::unique_ptr<ArrivalLog> arrival_log(const TrainConfig& train, const TrainerSetup& setup);

// Their PCI addresses, where this process sees one for each rank of the node.
std::vector<std::string> gpus_of_ranks(int ranks_on_node);

// Ranks that see their own GPU alone (--gpus-per-task=1) learn the others' when they are connected. Before a step computes.
void bind_beside_gpus(Communicator& communicator, int threads, Binding& binding);

}  // namespace xbench
