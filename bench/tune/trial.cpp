// Records as JSON, and their order.
#include "bench/tune/trial.h"
#include "core/json_member.h"
#include "core/json_number.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace xbench {
namespace {

// A number that is none is written as null.
double number(const Json& json, const char* key) {
    return json.at(key).is_null() ? std::numeric_limits<double>::quiet_NaN() : json.at(key).get<double>();
}

bool is_sound(const TrialRecord& record) { return record.status == "ok" && std::isfinite(record.score); }

}  // namespace

Json to_json(const TrialRecord& r) {
    return Json{{"schema", "xbench.trial/1"},
                {"trial", r.trial},
                {"rung", r.rung},
                {"epochs", r.epochs},
                {"settings", r.settings},
                {"status", r.status},
                {"reason", r.reason},
                {"score", number_or_null(r.score)},
                {"loss", number_or_null(r.loss)},
                {"val_accuracy", number_or_null(r.val_accuracy)},
                {"val_balanced_accuracy", number_or_null(r.val_balanced_accuracy)},
                {"val_loss", number_or_null(r.val_loss)},
                {"train_loss", number_or_null(r.train_loss)},
                {"chunk_loss", number_or_null(r.chunk_loss)},
                {"best_epoch", r.best_epoch},
                {"weights_hash", r.weights_hash},
                {"seconds", r.seconds},
                {"data_sha", r.data_sha}};
}

TrialRecord trial_from(const Json& json) {
    TrialRecord r;
    r.trial = json.at("trial");
    r.rung = json.at("rung");
    r.epochs = json.at("epochs");
    r.settings = json.at("settings").get<std::vector<std::string>>();
    r.status = json.at("status").get<std::string>();
    r.reason = json.at("reason").get<std::string>();
    r.score = number(json, "score");
    r.loss = number(json, "loss");
    r.val_accuracy = number(json, "val_accuracy");
    r.val_balanced_accuracy = number(json, "val_balanced_accuracy");
    r.val_loss = number(json, "val_loss");
    r.train_loss = number(json, "train_loss");
    r.chunk_loss = number(json, "chunk_loss");
    r.best_epoch = json.at("best_epoch");
    r.weights_hash = json.at("weights_hash").get<std::string>();
    r.seconds = json.at("seconds");
    r.data_sha = text_in(json, "data_sha");
    return r;
}

std::vector<TrialRecord> ranked(std::vector<TrialRecord> records) {
    std::sort(records.begin(), records.end(), [](const TrialRecord& a, const TrialRecord& b) {
        if (is_sound(a) != is_sound(b)) return is_sound(a);
        if (is_sound(a)) {
            if (a.score != b.score) return a.score > b.score;
            if (a.loss != b.loss) return a.loss < b.loss || std::isnan(b.loss);
        }
        return a.trial < b.trial;
    });
    return records;
}

std::string score_name(const Config& config) {
    if (config.tune.select == "chunk_loss") return "-chunk_loss";
    return config.train.monitor == "val_loss" ? "-val_loss" : config.train.monitor;
}

}  // namespace xbench
