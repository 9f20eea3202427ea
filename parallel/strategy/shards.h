// How the flat parameters are cut for the sharded trainers: into the model's units (core/graph.h), which are contiguous as
// the parameters lie in backward-ready order, and each unit over the ranks.
//
//   flat buffer     | unit 2            | unit 1                  | unit 0 |      ascending elements
//   over 2 ranks    | rank 0  | rank 1  | rank 0     | rank 1     | 0 | 1  |
//   rank 0's shards | unit 2's | unit 1's | unit 0's |                            its own parts, side by side
//
// And when a plan needs a unit whole: its parameters while steps read them (stage 3), its gradients while steps write them
// (stages 2 and 3). Both are facts of the plan, so every rank knows them beforehand, and what is communicated when.
#pragma once

#include <cstdint>
#include <vector>

#include "core/communicator.h"
#include "plan/plan.h"

namespace xbench {

struct ShardUnit {
    FlatSpan span;    // of the flat buffer
    RankRange own{};  // this rank's part, in elements of the flat buffer
    size_t at = 0;    // where that part begins among this rank's shards
    size_t elements() const { return static_cast<size_t>(span.end - span.begin); }
    size_t own_elements() const { return own.end - own.begin; }
};

struct Shards {
    std::vector<ShardUnit> units;  // ascending
    size_t own_elements = 0;       // of all units
    size_t largest_unit = 0;       // elements
    size_t unit_of(int64_t element) const;
};

// One rank's view of it.
Shards cut_into_shards(const Graph& graph, const FlatParameters& flat, int rank, int ranks);

// Steps that follow each other and read parameters of one unit only, or of none. A unit has one in the forward pass and one
// in the backward pass, the last unit one for both.
struct UnitVisit {
    size_t unit, first_step, last_step;
};

// Where units lie while they are whole. Two that are whole at the same time lie in different slots; a chain of layers needs
// two slots for parameters (the unit at work and the next one) and one for gradients, or two where one unit's gradients are
// reduced while the next one's are written (overlapped).
struct UnitSchedule {
    std::vector<UnitVisit> visits;
    std::vector<int> parameter_slot;          // by unit
    std::vector<int> gradient_slot;           // by unit; -1: it has no gradients
    std::vector<size_t> written_from;         // by unit: the first step that writes its gradients
    std::vector<size_t> reduced_after;        // by unit: the step after which its gradients are final
    std::vector<std::vector<FlatSpan>> gaps;  // by unit: elements whose gradient nobody writes, of absolute position
    int parameter_slots = 0, gradient_slots = 0;
};

// Throws Error where a step reads parameters of several units.
UnitSchedule schedule_units(const Plan& plan, const Shards& shards, bool overlapped = false);

// One piece of communication of a step.
struct Transfer {
    enum class Kind { gather, reduce } kind;  // parameters into a slot; gradients out of one
    size_t unit;
    int slot;  // of gather
};

// All pieces of a step in the order of every rank, and how many of them may be done, or must be, around each step of the
// plan. A unit is gathered when the one before it begins, so that at most two are whole in a chain of layers.
struct TransferPlan {
    std::vector<Transfer> transfers;
    std::vector<size_t> allowed_before, needed_before, allowed_after;  // by step
};
// Of a training plan, or of one that visits the units in the same order (evaluation), with the slots of `slots`, which is
// the training plan's. Throws Error where the order is another.
TransferPlan plan_transfers(const Plan& plan, const Shards& shards, const UnitSchedule& slots, int stage, bool training);

}  // namespace xbench
