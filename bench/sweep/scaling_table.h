// From raw records to the scaling table: medians over repeats, speed-ups against the fastest serial row, fits, and the two
// files that show them. A table is made from records alone; what is said of it is scaling_model.h's.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/base/change_points.h"
#include "bench/base/measure.h"
#include "bench/efficiency/factors.h"
#include "bench/sweep/row_details.h"
#include "bench/sweep/scaling_fits.h"
#include "bench/sweep/sweep.h"
#include "bench/sweep/time_to_accuracy.h"

namespace xbench {

// What a run did, as far as its records say; two runs of other work have no speed-up.
struct RunWork {
    int64_t steps = 0, test_images = 0;
    std::string data_sha;
    bool same_in_all = true;  // repeats
};

struct ScalingRow {
    Point point;
    int repeats = 0;
    std::vector<double> rates;  // images/s of each repeat
    Interval images_per_second, step_ms;
    double rate_error = 0;      // standard error of the median rate, relative to it; 0: not known
    double relative_cores = 0;  // ranks x threads in multiples of the baseline's cores; 0: no speed-up
    std::optional<double> speedup, efficiency, karp_flatt, contention;
    double exposed_comm_ms = 0, rank_skew_ms = 0, train_seconds = 0;
    std::optional<double> test_accuracy, test_balanced_accuracy, test_loss,
        majority_baseline;  // where there is a test split
    int64_t images_trained = 0;
    RunWork work;
    RowDetails details;
    ToAccuracy to_accuracy;                           // table.target_accuracy
    std::string no_speedup;                           // why there is none, of a row that was timed
    double noise = 0;                                 // relative standard deviation of the repeats
    std::optional<double> speedup_low, speedup_high;  // 95% by Hodges and Lehmann on logarithms, from 4 repeats on
    double p_against_base = 1;                        // Mann-Whitney, by Holm over the rows
    Warmup warmup = Warmup::flat;                     // of the step times of all repeats
    std::string weights_hash;                         // "differs" when the repeats disagree
    int disturbed = 0;  // repeats beside which the calibration loop was slow (bench/sweep/machine_drift.h)
    bool steady = true, has_result = false;
    bool emulated = false;  // on the emulated GPU: it has results, and no times
    bool timed() const { return has_result && !emulated; }
    std::string isa;
};

struct ScalingTable {
    std::string name, model, data, mode, reduction;
    int64_t epochs = 0, virtual_ranks = 0;
    std::vector<ScalingRow> rows;
    int baseline = -1;                      // index of the fastest serial row, of a CPU where there is one; -1: none
    std::vector<TrainerFit> fits;           // of the rows with status ok
    std::vector<RowEfficiency> efficiency;  // of each row; empty where no probes ran
    std::vector<std::string> notes;         // what a reader has to know
    std::string unpublishable;              // stands above the table: rows that nobody should publish; "": none
    std::string power;                      // what so many repeats can find at the noise seen; "" with fewer than 4
    std::string machine;
    std::optional<double> target_accuracy;  // of validation, that times to accuracy are of
};

// `points` in the order of the table, `records` of kind rep with their point's id in params.point, and of kind probe.
// `target_accuracy`: none for accuracy_to_reach's.
ScalingTable make_scaling_table(const Config& config, std::span<const Point> points, std::span<const Record> records,
                                std::optional<double> target_accuracy = {});

// The fastest serial row of a device, with status ok; -1: none.
int baseline_of(const ScalingTable& table, const std::string& device);

std::vector<Record> summary_records(const ScalingTable& table);
std::string scaling_csv(const ScalingTable& table);
std::string scaling_markdown(const ScalingTable& table);  // of its scaling_model()

}  // namespace xbench
