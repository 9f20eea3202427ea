// What headers mean. They are compared in small letters, with everything but letters, digits and % left out.
#include "bench/audit/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <set>

#include "core/error.h"

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

std::string plain(const std::string& header) {
    std::string text;
    for (const char c : header)
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '%')
            text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

struct Column {
    Role role = Role::other;
    double factor = 1;
    std::string name;  // of Role::count the class
};

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

bool is_share(Role role) {
    return role == Role::accuracy || role == Role::balanced_accuracy || role == Role::precision || role == Role::recall ||
           role == Role::f1 || role == Role::auc || role == Role::majority || role == Role::efficiency;
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

bool is_word(Role role) {
    return role == Role::name || role == Role::table || role == Role::device || role == Role::base || role == Role::mode ||
           role == Role::evaluated_on || role == Role::other;
}

bool is_missing(const std::string& text) {
    const std::string word = plain(text);
    return word.empty() || word == "na" || word == "nan" || word == "none" || word == "null";
}

void take_word(Row& row, Role role, const std::string& text) {
    if (role == Role::name) row.name += (row.name.empty() ? "" : " ") + text;
    if (role == Role::device) row.device = text;
    if (role == Role::mode) row.mode = plain(text);
    if (role == Role::evaluated_on) row.evaluated_on = text;
    if (role == Role::base) row.marked_base = !is_missing(text) && plain(text) != "no" && plain(text) != "0";
}

void multiply(Printed& printed, double factor) {
    printed.value *= factor;
    printed.unit *= factor;
    printed.scale *= factor;
}

// Shares in percent without a % are known by their size: nobody prints an accuracy of 87.2 otherwise.
void fit_unit(Printed& printed, const Column& column) {
    const double whole = column.role == Role::efficiency ? 8 : 2;
    if (printed.percent) return;
    multiply(printed, column.factor);
    if (is_share(column.role) && column.factor == 1 && printed.value > whole) multiply(printed, 0.01);
}

Row read_row(Table& table, const CsvTable& csv, const std::vector<Column>& columns, size_t r) {
    Row row;
    row.index = static_cast<int>(r);
    for (size_t c = 0; c < columns.size(); ++c) {
        const std::string& text = csv.rows[r][c];
        const Column& column = columns[c];
        if (is_word(column.role)) {
            take_word(row, column.role, text);
            continue;
        }
        if (is_missing(text)) continue;
        auto printed = parse_printed(text);
        if (!printed)
            throw UsageError(fmt::format("\"{}\" in column {} is no number", text, csv.header[c]),
                             fmt::format("{}:{}", csv.path, csv.lines[r]), "leave the field empty where there is none");
        fit_unit(*printed, column);
        const int id = static_cast<int>(table.cells.size());
        table.cells.push_back({*printed, column.role, row.index, csv.header[c]});
        if (column.role == Role::count)
            row.counts.push_back(id);
        else
            row.cells.emplace(column.role, id);
    }
    return row;
}

}  // namespace

bool Cell::is_share() const { return role != Role::efficiency && audit::is_share(role); }

bool Cell::whole() const {
    switch (role) {
        case Role::ranks:
        case Role::threads:
        case Role::images:
        case Role::images_per_epoch:
        case Role::batch:
        case Role::steps:
        case Role::steps_per_epoch:
        case Role::epochs:
        case Role::support:
        case Role::n_test:
        case Role::repeats:
        case Role::true_positive:
        case Role::false_positive:
        case Role::false_negative:
        case Role::true_negative:
        case Role::count: return true;
        default: return false;
    }
}

Range Cell::range(Rounding rounding) const { return whole() ? exactly(printed.value) : range_of(printed, rounding); }

bool Group::has(Role role) const {
    return std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return row.has(role); });
}

double Table::processors(const Row& row) const {
    if (!row.has(Role::ranks) && !row.has(Role::threads)) return 0;
    return (row.has(Role::ranks) ? value(row, Role::ranks) : 1) * (row.has(Role::threads) ? value(row, Role::threads) : 1);
}

Table audit_table(const CsvTable& csv) {
    Table table;
    std::vector<Column> columns;
    std::set<Role> seen;
    for (const std::string& header : csv.header) {
        Column column = column_of(header);
        const bool twice = column.role != Role::count && column.role != Role::name && !seen.insert(column.role).second;
        if (twice) column.role = Role::other;  // the first column of a kind is read
        if (column.role == Role::other && !header.empty()) table.ignored.push_back(header);
        columns.push_back(column);
    }
    if (std::all_of(columns.begin(), columns.end(), [](const Column& column) { return is_word(column.role); }))
        throw UsageError("has no column that a check reads", csv.path,
                         "name columns ranks, threads, seconds, images_per_second, speedup, efficiency, accuracy, n_test, "
                         "precision, recall, f1, support ...");
    for (size_t r = 0; r < csv.rows.size(); ++r) {
        std::string name;
        for (size_t c = 0; c < columns.size(); ++c)
            if (columns[c].role == Role::table) name = csv.rows[r][c];
        auto group = std::find_if(table.groups.begin(), table.groups.end(), [&](const Group& g) { return g.name == name; });
        if (group == table.groups.end()) {
            table.groups.push_back({name, {}, {}});
            group = table.groups.end() - 1;
            for (const Column& column : columns)
                if (column.role == Role::count) group->predicted.push_back(column.name);
        }
        group->rows.push_back(read_row(table, csv, columns, r));
        if (group->rows.back().name.empty()) group->rows.back().name = fmt::format("row {}", group->rows.size());
    }
    return table;
}

}  // namespace xbench::audit
