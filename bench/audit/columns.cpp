// The table of names, units behind names, and which of two columns counts.
#include "bench/audit/columns.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>

namespace xbench::audit {
namespace {

struct Header {
    Role role;
    double factor;  // of the printed number to the role's unit
    std::vector<std::string> words;
};

const std::vector<Header>& headers() {
    static const std::vector<Header> all{
        {Role::ranks,
         1,
         {"ranks", "n", "p", "processes", "procs", "gpus", "workers", "nodes", "slots", "replicas", "devices", "cores",
          "cpus", "processors"}},
        {Role::threads, 1, {"threads", "threadsperrank", "ompthreads"}},
        {Role::seconds,
         1,
         {"seconds", "time", "times", "timeseconds", "runtime", "traintime", "trainseconds", "trainingtime", "wallseconds",
          "walltime", "totaltime", "elapsed", "duration", "t"}},
        {Role::seconds, 1e-3, {"ms", "stepms", "milliseconds", "timems", "msperstep"}},
        {Role::seconds, 60, {"minutes", "min", "timemin", "timeminutes"}},
        {Role::seconds, 3600, {"hours", "timeh", "timehours"}},
        {Role::rate,
         1,
         {"imagespersecond", "imagess", "imgs", "imgsec", "imagessec", "imagespersec", "throughput", "ips",
          "samplespersecond", "sampless"}},
        {Role::speedup, 1, {"speedup", "s", "speedupx", "scaling"}},
        {Role::efficiency, 1, {"efficiency", "e", "parallelefficiency", "scalingefficiency"}},
        {Role::efficiency, 0.01, {"efficiency%", "parallelefficiency%", "efficiencypercent"}},
        {Role::karp_flatt, 1, {"karpflatt", "serialfraction"}},
        {Role::images, 1, {"images", "imagestrained", "samples", "trainimages", "totalimages"}},
        {Role::images_per_epoch, 1, {"imagesperepoch", "trainset", "trainsize", "ntrain", "samplesperepoch"}},
        {Role::batch, 1, {"batch", "globalbatch", "batchsize", "globalbatchsize"}},
        {Role::steps, 1, {"steps", "iterations", "totalsteps"}},
        {Role::steps_per_epoch, 1, {"stepsperepoch", "iterationsperepoch"}},
        {Role::epochs, 1, {"epochs", "epoch"}},
        {Role::accuracy, 1, {"accuracy", "acc", "testaccuracy", "valaccuracy", "top1"}},
        {Role::accuracy, 0.01, {"accuracy%", "acc%", "testaccuracy%", "accuracypercent"}},
        {Role::balanced_accuracy, 1, {"balancedaccuracy", "testbalancedaccuracy"}},
        {Role::loss, 1, {"loss", "testloss", "valloss"}},
        {Role::precision, 1, {"precision", "prec", "ppv"}},
        {Role::recall, 1, {"recall", "rec", "sensitivity", "tpr"}},
        {Role::f1, 1, {"f1", "f1score", "fscore"}},
        {Role::support, 1, {"support"}},
        {Role::n_test, 1, {"ntest", "testimages", "testsize", "testset"}},
        {Role::auc, 1, {"auc", "rocauc", "auroc"}},
        {Role::repeats, 1, {"repeats", "runs", "repetitions", "trials"}},
        {Role::spread, 1, {"spread", "std", "stdev", "stddev", "sd", "secondsstd", "timestd", "ci"}},
        {Role::faster, 0.01, {"%faster", "fasterpercent", "faster%", "percentfaster"}},
        {Role::majority, 1, {"majoritybaseline", "majority", "majorityshare"}},
        {Role::true_positive, 1, {"tp", "truepositives"}},
        {Role::false_positive, 1, {"fp", "falsepositives"}},
        {Role::false_negative, 1, {"fn", "falsenegatives"}},
        {Role::true_negative, 1, {"tn", "truenegatives"}},
        {Role::name,
         1,
         {"name", "system", "run", "row", "configuration", "config", "trainer", "method", "class", "label", "point", ""}},
        {Role::table, 1, {"table", "group", "set", "series"}},
        {Role::device, 1, {"device", "hardware", "accelerator"}},
        {Role::base, 1, {"base", "baseline", "isbase"}},
        {Role::mode, 1, {"mode", "scalingmode"}},
        {Role::evaluated_on, 1, {"evaluatedon", "accuracyon", "split", "evaluation"}}};
    return all;
}

std::vector<std::string> words_of(const std::string& header) {
    std::vector<std::string> words(1);
    for (const char c : header) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '%')
            words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        else if (!words.back().empty())
            words.emplace_back();
    }
    if (words.back().empty()) words.pop_back();
    return words;
}

std::optional<Column> known_column(const std::string& text, const std::string& header) {
    for (const Header& known : headers())
        if (std::find(known.words.begin(), known.words.end(), text) != known.words.end())
            return Column{known.role, known.factor, header};
    return std::nullopt;
}

// A unit behind the name, as in "Training time (min)" and "Throughput [img/s]": what a number is multiplied by. Nothing for
// what is no unit of the column.
std::optional<double> unit_factor(Role role, const std::string& unit) {
    static const std::vector<std::pair<double, std::vector<std::string>>> times{
        {1, {"s", "sec", "secs", "second", "seconds"}},
        {1e-3, {"ms", "millisecond", "milliseconds"}},
        {60, {"m", "min", "mins", "minutes"}},
        {3600, {"h", "hr", "hrs", "hour", "hours"}}};
    if (role == Role::seconds)
        for (const auto& [factor, words] : times)
            if (std::find(words.begin(), words.end(), unit) != words.end()) return factor;
    if (is_share(role) && (unit == "%" || unit == "percent")) return 0.01;
    if (role == Role::speedup && (unit == "x" || unit == "times")) return 1;
    if (role == Role::rate &&
        (unit == "imgs" || unit == "imagess" || unit == "imgsec" || unit == "imagessec" || unit == "sampless"))
        return 1;
    return std::nullopt;
}

// The name of a column without its last words, where these are a unit.
std::optional<Column> column_with_unit(const std::vector<std::string>& words, const std::string& header) {
    for (size_t name = words.size() - 1; name > 0; --name) {
        std::string text, unit;
        for (size_t i = 0; i < words.size(); ++i) (i < name ? text : unit) += words[i];
        auto column = known_column(text, header);
        if (!column) continue;
        const auto factor = unit_factor(column->role, unit);
        if (!factor) continue;
        column->factor = *factor;
        return column;
    }
    return std::nullopt;
}

Column column_of(const std::string& header) {
    const std::string text = plain(header);
    constexpr const char* prefix = "predicted";
    if (text.rfind(prefix, 0) == 0 && text.size() > 9) {
        const size_t at = header.find_first_of("_ -");
        return {Role::count, 1, at == std::string::npos ? header.substr(9) : header.substr(at + 1)};
    }
    if (const auto known = known_column(text, header)) return *known;
    std::vector<std::string> words = words_of(header);
    while (words.size() > 1 && (words[0] == "number" || words[0] == "num" || words[0] == "no" || words[0] == "of"))
        words.erase(words.begin());
    if (words.empty()) return {Role::other, 1, header};
    std::string rest;
    for (const std::string& word : words) rest += word;
    if (const auto known = known_column(rest, header)) return *known;
    if (const auto with_unit = column_with_unit(words, header)) return *with_unit;
    return {Role::other, 1, header};
}

// Of several columns that count processors. With threads beside them it is ranks that are multiplied, else all cores.
size_t order_of_processors(const std::string& header, bool with_threads) {
    static const std::vector<std::string> ranks{"ranks",    "processes", "procs", "workers", "gpus", "devices",
                                                "replicas", "slots",     "n",     "p",       "nodes"},
        cores{"gpus",  "cores",   "cpus",     "processors", "devices", "ranks", "processes",
              "procs", "workers", "replicas", "slots",      "n",       "p",     "nodes"};
    const std::vector<std::string>& order = with_threads ? ranks : cores;
    std::string name;
    for (const std::string& word : words_of(header))
        if (std::find(order.begin(), order.end(), word) != order.end()) name = word;
    return static_cast<size_t>(std::find(order.begin(), order.end(), name) - order.begin());
}

// The header that is read of those of one role: the first, or of processors the best.
size_t chosen(const std::vector<size_t>& same, const std::vector<std::string>& headers, Role role, bool with_threads) {
    if (role != Role::ranks) return same.front();
    return *std::min_element(same.begin(), same.end(), [&](size_t a, size_t b) {
        return order_of_processors(headers[a], with_threads) < order_of_processors(headers[b], with_threads);
    });
}

bool is_per_node(const std::string& header) {
    const std::string text = plain(header);
    return text.size() > 7 && text.ends_with("pernode");
}

}  // namespace

std::string plain(const std::string& header) {
    std::string text;
    for (const char c : header)
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '%')
            text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

bool is_share(Role role) {
    return role == Role::accuracy || role == Role::balanced_accuracy || role == Role::precision || role == Role::recall ||
           role == Role::f1 || role == Role::auc || role == Role::majority || role == Role::efficiency;
}

std::vector<Column> columns_of(const std::vector<std::string>& headers) {
    std::vector<Column> columns;
    std::map<Role, std::vector<size_t>> same;
    for (size_t i = 0; i < headers.size(); ++i) {
        columns.push_back(column_of(headers[i]));
        same[columns[i].role].push_back(i);
    }
    const bool with_threads = same.count(Role::threads) > 0;
    for (const auto& [role, places] : same) {
        if (role == Role::count || role == Role::name || role == Role::other) continue;
        const size_t read = chosen(places, headers, role, with_threads);
        for (const size_t i : places)
            if (i != read) columns[i].role = Role::other;
    }
    // Nodes alone are multiplied by what each has.
    const auto counts_nodes = [&](size_t i) {
        return columns[i].role == Role::ranks && words_of(headers[i]).back() == "nodes";
    };
    for (size_t i = 0; i < headers.size() && !with_threads; ++i)
        for (size_t j = 0; j < headers.size(); ++j)
            if (counts_nodes(i) && is_per_node(headers[j])) columns[j] = {Role::threads, 1, headers[j]};
    return columns;
}

}  // namespace xbench::audit
