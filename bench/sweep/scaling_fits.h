// What the curve of a scaling table says: one family of rows (trainer, device, stage), its Karp-Flatt verdict and the laws
// that its repeats do not reject.
#pragma once

#include <string>
#include <vector>

#include "bench/laws/fit.h"
#include "bench/laws/karp_flatt.h"

namespace xbench {

struct ScalingTable;
struct ScalingRow;

struct TrainerFit {
    std::string trainer;
    std::vector<ScalingPoint> curve;  // one point for each number of cores above the baseline's
    Trend trend = Trend::none;        // of Karp-Flatt; none under weak scaling
    int core_counts = 0;              // with the baseline's
    std::vector<LawFit> laws;         // rejected ones too; empty under least_core_counts
    double furthest = 0;              // the largest core count, of the baseline's, that a law may be asked for
};

std::string family_of(const ScalingRow& row);  // "sharded (cuda) stage 2"
// Of the rows with status ok.
std::vector<TrainerFit> fit_families(const ScalingTable& table);

}  // namespace xbench
