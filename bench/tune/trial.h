// One trial of a search after one rung: what it was worth, or why it failed. Records are kept as files, from which a search
// goes on, and are what workers tell each other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/json.h"
#include "eval/metrics.h"

namespace xbench {

struct TrialRecord {
    int64_t trial = 0, rung = 0, epochs = 0;  // trained in all
    std::vector<std::string> settings;
    std::string status = "ok";  // ok | failed
    std::string reason;         // of a failure
    // What trials are compared by: higher is better, then the lower loss, then the lower number.
    double score = 0, loss = 0;
    double val_accuracy = 0, val_balanced_accuracy = 0, val_loss = 0, train_loss = 0, chunk_loss = 0;
    int64_t best_epoch = 0;
    std::string weights_hash;  // of the best epoch; where the trial has come to its end
    double seconds = 0;
    std::string data_sha;  // of the set that it was trained on; "": an older version's record
};
Json to_json(const TrialRecord& record);
TrialRecord trial_from(const Json& json);  // throws Json::exception

// Of the same rung, best first: the score by `select` and the monitor; failed ones and those whose score is no number last.
std::vector<TrialRecord> ranked(std::vector<TrialRecord> records);
// Name of what the score is: "val_accuracy", "-val_loss", "-chunk_loss".
std::string score_name(const Config& config);

}  // namespace xbench
