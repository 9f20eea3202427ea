// What a row's records carry beside its times: the history of the training, the ledger of memory, and who delayed whom.
// Records of other versions may lack any of it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bench/base/record.h"

namespace xbench {

// By epoch, from the first. Seconds of training and validation from the start to the end of the epoch.
struct RunHistory {
    std::vector<double> seconds, val_accuracy, val_loss, train_loss;
    bool empty() const { return val_accuracy.empty(); }
};

// Bytes of rank 0 while steps run, by category in the ledger's order.
struct RowMemory {
    std::vector<std::pair<std::string, double>> categories;
    double total = 0, predicted = 0;  // 0: not recorded
};

// Delay as Scalasca means it, of one collective of the step: the rank that the others wait for the most, and what that
// costs. Medians over the repeats; of ranks the one that most repeats name.
struct BucketDelay {
    std::string bucket;      // its place in the step
    std::string collective;  // "all_reduce"
    int64_t bytes = 0;
    int rank = 0, named = 0, repeats = 0;  // named in so many of the repeats
    double share_last = 0;                 // of the steps
    double delay_ms = 0, transfer_ms = 0;
};

struct RowDetails {
    RunHistory history;  // of the repeats: medians of seconds, and the first one's scores
    RowMemory memory;
    std::vector<BucketDelay> delays;  // in the step's order
};

RunHistory history_of(const Record& record);
RowDetails details_of(const std::vector<const Record*>& records);

}  // namespace xbench
