// Reads counters.history, counters.memory and counters.delays.
#include "bench/sweep/row_details.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "bench/base/measure.h"
#include "core/json_member.h"

namespace xbench {
namespace {

std::vector<double> numbers(const Json& object, const char* key) {
    std::vector<double> values;
    const Json* list = member(object, key);
    if (list == nullptr || !list->is_array()) return values;
    for (const Json& value : *list) {
        if (!value.is_number() && !value.is_null()) return {};
        values.push_back(value.is_null() ? std::nan("") : value.get<double>());  // a training that diverged
    }
    return values;
}

RunHistory history_of_all(const std::vector<const Record*>& records) {
    RunHistory history = history_of(*records.front());
    std::vector<std::vector<double>> own;
    for (const Record* record : records) own.push_back(history_of(*record).seconds);
    for (size_t epoch = 0; epoch < history.seconds.size(); ++epoch) {
        std::vector<double> seconds;
        for (const std::vector<double>& one : own)
            if (epoch < one.size()) seconds.push_back(one[epoch]);
        history.seconds[epoch] = median(seconds);
    }
    return history;
}

RowMemory memory_of(const Record& record) {
    RowMemory memory;
    const Json* all = member(record.counters, "memory");
    const Json* in_step = all == nullptr ? nullptr : member(*all, "in_step");
    memory.total = number_in(record.counters, "memory_bytes").value_or(0);
    if (in_step == nullptr || !in_step->is_object()) return memory;
    for (const char* category : {"parameters", "gradients", "optimizer", "activations", "buffers", "batches", "workspace"})
        memory.categories.emplace_back(category, number_in(*in_step, category).value_or(0));
    memory.total = number_in(*in_step, "total").value_or(0);
    if (const Json* predicted = member(*all, "predicted")) memory.predicted = number_in(*predicted, "total").value_or(0);
    return memory;
}

std::string text_of(const Json* value) {
    if (value == nullptr) return "";
    return value->is_string() ? value->get<std::string>() : json_text(*value);
}

// What the repeats say of one collective.
struct DelayValues {
    std::string collective;
    int64_t bytes = 0;
    std::map<int, int> ranks;  // how often each was named
    std::vector<double> share, delay, transfer;
};

BucketDelay median_delay(const std::string& bucket, const DelayValues& values) {
    const auto most = std::max_element(values.ranks.begin(), values.ranks.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return {bucket,
            values.collective,
            values.bytes,
            most->first,
            most->second,
            static_cast<int>(values.share.size()),
            median(values.share),
            median(values.delay),
            median(values.transfer)};
}

std::vector<BucketDelay> delays_of(const std::vector<const Record*>& records) {
    std::vector<std::string> order;
    std::map<std::string, DelayValues> found;
    for (const Record* record : records) {
        const Json* list = member(record->counters, "delays");
        if (list == nullptr || !list->is_array()) continue;
        for (const Json& one : *list) {
            const std::string bucket = text_of(member(one, "bucket"));
            if (bucket.empty()) continue;
            if (!found.contains(bucket)) order.push_back(bucket);
            DelayValues& values = found[bucket];
            values.collective = text_of(member(one, "collective"));
            values.bytes = static_cast<int64_t>(number_in(one, "bytes").value_or(0));
            ++values.ranks[static_cast<int>(number_in(one, "rank").value_or(0))];
            values.share.push_back(number_in(one, "share_last").value_or(0));
            values.delay.push_back(number_in(one, "delay_ms").value_or(0));
            values.transfer.push_back(number_in(one, "transfer_ms").value_or(0));
        }
    }
    std::vector<BucketDelay> delays;
    for (const std::string& bucket : order) delays.push_back(median_delay(bucket, found[bucket]));
    return delays;
}

}  // namespace

RunHistory history_of(const Record& record) {
    const Json* object = member(record.counters, "history");
    if (object == nullptr) return {};
    RunHistory history{numbers(*object, "seconds"), numbers(*object, "val_accuracy"), numbers(*object, "val_loss"),
                       numbers(*object, "train_loss")};
    const size_t epochs = history.seconds.size();
    if (history.val_accuracy.size() != epochs) return {};
    if (history.val_loss.size() != epochs) history.val_loss.clear();
    if (history.train_loss.size() != epochs) history.train_loss.clear();
    return history;
}

RowDetails details_of(const std::vector<const Record*>& records) {
    if (records.empty()) return {};
    return {history_of_all(records), memory_of(*records.front()), delays_of(records)};
}

}  // namespace xbench
