// The sections, from top to bottom.
#include "bench/report/training_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/base/distributions.h"
#include "bench/base/measure.h"
#include "bench/base/text_table.h"
#include "bench/draw/bar_chart.h"
#include "bench/draw/line_chart.h"
#include "bench/report/report_parts.h"
#include "bench/report/scaling_charts.h"
#include "bench/runs/charts.h"
#include "bench/sweep/row_details.h"
#include "core/json_member.h"
#include "core/plain_nan.h"

namespace xbench {
namespace {

using Cells = std::vector<std::string>;

std::string number_text(const std::optional<double>& value, const char* format = "{:.4f}") {
    return value ? fmt::format(fmt::runtime(format), *value) : "";
}

int whole(const Json& object, const char* key, int otherwise) {
    const auto value = number_in(object, key);
    return value ? static_cast<int>(*value) : otherwise;
}

std::string setup_text(const TrainingFiles& training) {
    if (!training.record) return training.config.model.name;
    const Json& params = training.record->params;
    const int stage = whole(params, "stage", 0);
    return fmt::format("{} by {}{}{} on {} x {} cores", training.config.model.name, text_in(params, "trainer"),
                       stage > 0 ? fmt::format(" stage {}", stage) : "",
                       text_in(params, "device") == "cuda" ? " (cuda)" : "", whole(params, "ranks", 1),
                       whole(params, "threads", 1));
}

// Of the split whose scores stand in metrics.json.
std::string score_text(const Json& metrics, const char* split) {
    const auto accuracy = number_in(metrics, "accuracy");
    if (!accuracy) return "";
    std::string text = fmt::format("{} accuracy {:.4f}", split, *accuracy);
    if (const auto count = number_in(metrics, "count"); count && *count > 0) {
        const auto [low, high] = wilson_interval(*accuracy, *count);
        text += fmt::format(" ({:.4f} to {:.4f} by the draw of {:.0f} images)", low, high, *count);
    }
    if (const auto balanced = number_in(metrics, "balanced_accuracy")) text += fmt::format(", balanced {:.4f}", *balanced);
    if (const auto majority = number_in(metrics, "majority_baseline"))
        text += fmt::format(", always the majority class {:.4f}", *majority);
    return text;
}

bool is_emulated(const TrainingFiles& training) {
    if (!training.record) return false;
    const auto found = training.record->params.find("emulated");
    return found != training.record->params.end() && *found == true;
}

// Of the test split, or the validation split where there is no other.
const Json& scored(const TrainingFiles& training) {
    static const Json nothing = Json::object();
    if (training.metrics.contains("per_class")) return training.metrics;
    const auto val = training.metrics.find("val");
    return val != training.metrics.end() && val->is_object() ? *val : nothing;
}

void add_scores(HtmlPage& page, const TrainingFiles& training) {
    const Json& scores = scored(training);
    const auto classes = scores.find("per_class");
    if (classes != scores.end() && classes->is_object()) {
        ModelTable table{{{"class", false}, {"images"}, {"precision"}, {"recall"}, {"F1"}}, {}, "", "classes.csv"};
        for (const auto& [name, one] : classes->items())
            table.rows.push_back({name, number_text(number_in(one, "support"), "{:.0f}"),
                                  number_text(number_in(one, "precision")), number_text(number_in(one, "recall")),
                                  number_text(number_in(one, "f1"))});
        add_table(
            page, table, "",
            &scores == &training.metrics ? "Scores by class on the test split" : "Scores by class on the validation split");
    }
    if (training.confusion.size() > 1) {
        std::string csv;
        for (const Cells& line : training.confusion) csv += csv_line(line);
        page.table(training.confusion.front(), {training.confusion.begin() + 1, training.confusion.end()},
                   "Images by what they are (rows) and what was said (columns)");
        page.download("confusion_matrix.csv", csv);
    }
    if (!training.classification.empty()) {
        page.begin_folded("Classification report as scikit-learn lays it out");
        page.code(training.classification);
        page.end_folded();
    }
}

std::string accuracy_over_seconds(const std::vector<EpochResult>& history) {
    LineChart chart{"Validation accuracy over seconds", "seconds", "accuracy", {}};
    ChartLine line{"", {}, false, history.size() <= 30};
    double seconds = 0;
    for (const EpochResult& epoch : history) {
        seconds += epoch.train_seconds + epoch.val_seconds;
        if (std::isfinite(epoch.val_accuracy)) line.points.emplace_back(seconds, epoch.val_accuracy);
    }
    if (line.points.empty() || !(seconds > 0)) return "";
    chart.lines.push_back(std::move(line));
    chart.x_low = 0;
    return line_chart_svg(chart, report_chart_width, report_chart_height);
}

// Times of an emulated GPU are shown nowhere.
void add_epochs(HtmlPage& page, const std::vector<EpochResult>& history, bool timed) {
    ModelTable table{{{"epoch"}, {"training loss"}, {"validation loss"}, {"accuracy"}, {"balanced"}, {"learning rate"}},
                     {},
                     "history.csv"};
    std::string csv = "epoch,train_loss,val_loss,val_accuracy,val_balanced_accuracy,learning_rate,best";
    if (timed) {
        table.columns.insert(table.columns.end(), {{"training s"}, {"validation s"}});
        csv += ",train_seconds,val_seconds";
    }
    table.columns.push_back({"best so far", false});
    csv += "\n";
    for (const EpochResult& e : history) {
        Cells& cells = table.rows.emplace_back(
            Cells{std::to_string(e.epoch), fmt::format("{:.4f}", plain_nan(e.train_loss)),
                  fmt::format("{:.4f}", plain_nan(e.val_loss)), fmt::format("{:.4f}", plain_nan(e.val_accuracy)),
                  fmt::format("{:.4f}", plain_nan(e.val_balanced_accuracy)), fmt::format("{:.3g}", e.learning_rate)});
        csv +=
            fmt::format("{},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{}", e.epoch, plain_nan(e.train_loss), plain_nan(e.val_loss),
                        plain_nan(e.val_accuracy), plain_nan(e.val_balanced_accuracy), e.learning_rate, e.best ? 1 : 0);
        if (timed) {
            for (const double seconds : {e.train_seconds, e.val_seconds}) cells.push_back(fmt::format("{:.2f}", seconds));
            csv += fmt::format(",{:.6f},{:.6f}", e.train_seconds, e.val_seconds);
        }
        cells.push_back(e.best ? "yes" : "");
        csv += "\n";
    }
    add_table(page, table, csv);
}

void add_history(HtmlPage& page, const TrainingFiles& training) {
    page.heading("The training, epoch by epoch");
    if (training.history.empty()) return page.paragraph("No epoch has ended.");
    const bool finite = std::any_of(training.history.begin(), training.history.end(), [](const EpochResult& epoch) {
        return std::isfinite(epoch.train_loss) || std::isfinite(epoch.val_loss);
    });
    std::vector<std::string> charts;
    if (finite) charts = training_svgs(training.history, report_chart_width, report_chart_height);
    if (!is_emulated(training))
        if (std::string svg = accuracy_over_seconds(training.history); !svg.empty()) charts.push_back(std::move(svg));
    if (!charts.empty()) page.svgs_in_columns(charts);
    add_epochs(page, training.history, !is_emulated(training));
}

// Medians of pieces, so that a long run is no long line.
std::string step_times_svg(const Record& record) {
    const std::vector<int64_t>& ns = record.samples_ns;
    if (ns.size() < 2) return "";
    constexpr size_t most_pieces = 300;
    const size_t piece = (ns.size() + most_pieces - 1) / most_pieces;
    ChartLine line;
    double most = 0;
    for (size_t begin = 0; begin < ns.size(); begin += piece) {
        const size_t end = std::min(ns.size(), begin + piece);
        std::vector<double> times(ns.begin() + static_cast<std::ptrdiff_t>(begin),
                                  ns.begin() + static_cast<std::ptrdiff_t>(end));
        const double ms = median(times) * 1e-6;
        line.points.emplace_back(static_cast<double>(begin + 1), ms);
        most = std::max(most, ms);
    }
    LineChart chart{
        piece > 1 ? fmt::format("Time of a step, medians of {}", piece) : "Time of a step", "step", "ms", {line}};
    chart.y_low = 0;
    chart.y_high = most > 0 ? 1.1 * most : 1;
    return line_chart_svg(chart, report_chart_width, report_chart_height);
}

void add_time(HtmlPage& page, const TrainingFiles& training) {
    page.heading("Time");
    if (!training.record) return page.paragraph("The training has not ended, so it has no record of its steps.");
    if (is_emulated(training))
        return page.paragraph("It ran on an emulated GPU: the results are right, and there are no times.");
    const Json& counters = training.record->counters;
    const auto fact = [&](const char* key, const char* format) { return number_text(number_in(counters, key), format); };
    if (const std::string svg = step_times_svg(*training.record); !svg.empty()) page.svg(svg);
    std::vector<std::pair<std::string, std::string>> facts{
        {"throughput", fmt::format("{:.1f} images/s", training.record->value)},
        {"a step", fact("step_ms", "{:.4f} ms, behind the warm-up")},
        {"of it waiting for communication", fact("exposed_comm_ms", "{:.4f} ms")},
        {"of that for a late rank", fact("rank_skew_ms", "{:.4f} ms")},
        {"of it waiting for images", fact("load_wait_ms", "{:.4f} ms")},
        {"step times by change points", text_in(counters, "warmup")},
        {"training", fact("train_seconds", "{:.3f} s")},
        {"validation", fact("val_seconds", "{:.3f} s")},
        {"test", fact("test_seconds", "{:.3f} s")},
        {"in all", fact("total_seconds", "{:.3f} s")}};
    facts.erase(std::remove_if(facts.begin(), facts.end(), [](const auto& one) { return one.second.empty(); }), facts.end());
    page.facts(facts);
    const RowDetails details = details_of({&*training.record});
    if (!details.delays.empty()) {
        page.subheading("Who is waited for");
        page.paragraph(delay_explanation);
        ModelTable table{delay_columns(), {}, "", "delays.csv"};
        for (const BucketDelay& delay : costliest(details.delays)) table.rows.push_back(delay_cells(delay));
        add_table(page, table);
    }
    if (training.has_trace) page.paragraph("trace.json beside this file opens in ui.perfetto.dev or chrome://tracing.");
}

void add_memory(HtmlPage& page, const TrainingFiles& training) {
    if (!training.record) return;
    const RowMemory memory = details_of({&*training.record}).memory;
    if (memory.categories.empty()) return;
    page.heading("Memory");
    BarChart chart{"Memory of rank 0 while steps run, MiB", {}, {}};
    BarChart::Bar bar{"in a step", {}, fmt::format("{:.2f}", memory.total / 1048576.0)};
    ModelTable table{{{"purpose", false}, {"MiB"}}, {}, "", "memory.csv"};
    for (const auto& [category, bytes] : memory.categories) {
        chart.parts.push_back(category);
        bar.values.push_back(bytes / 1048576.0);
        table.rows.push_back({category, fmt::format("{:.3f}", bytes / 1048576.0)});
    }
    table.rows.push_back({"in all", fmt::format("{:.3f}", memory.total / 1048576.0)});
    if (memory.predicted > 0) table.rows.push_back({"predicted", fmt::format("{:.3f}", memory.predicted / 1048576.0)});
    chart.bars.push_back(std::move(bar));
    page.svg(bar_chart_svg(chart, report_chart_width));
    add_table(page, table);
}

}  // namespace

std::string training_verdict(const TrainingFiles& training) {
    std::string scores = score_text(training.metrics, "test");
    if (scores.empty()) scores = score_text(scored(training), "validation");
    std::string text =
        fmt::format("{}, {} of {} epochs", setup_text(training), training.history.size(), training.config.train.epochs);
    if (!scores.empty()) text += ": " + scores;
    text += ".";
    if (training.record && !is_emulated(training))
        text += fmt::format(" {:.0f} images/s, {:.1f} s in all.", training.record->value,
                            number_in(training.record->counters, "total_seconds").value_or(0));
    if (training.record) text += fmt::format(" Weights: {}.", training.record->weights_hash);
    return text;
}

void add_training(HtmlPage& page, const TrainingFiles& training) {
    if (!training.record)
        page.notice(HtmlPage::Notice::bad, "The training is still running, or was stopped: this report is not complete.");
    page.paragraph(training_verdict(training));
    page.heading("Scores");
    add_scores(page, training);
    if (training.metrics.empty()) page.paragraph("There are none yet: they are computed when the training ends.");
    add_history(page, training);
    add_time(page, training);
    add_memory(page, training);
    if (!training.summary.empty()) {
        page.heading("Model");
        page.begin_folded("Layers, output shapes and parameters");
        page.code(training.summary);
        page.end_folded();
    }
    page.heading("Where it was measured");
    std::vector<std::pair<std::string, std::string>> more;
    if (training.record)
        more = {{"data", training.record->data_sha},
                {"configuration", training.record->config_sha},
                {"kernels", text_in(training.record->params, "isa")},
                {"weights of the last epoch", text_in(training.record->counters, "final_weights_hash")}};
    add_environment(page, training.record ? training.record->run_id : "", training.environment, more);
    page.heading("How to run it again");
    add_command(page, training.environment, "xbench train --config config.resolved.json --out NEW_FOLDER");
    page.paragraph("This page is made again from the files of its folder, byte for byte, by:");
    page.code("xbench report FOLDER");
}

std::string training_page(const TrainingFiles& training) {
    HtmlPage page(fmt::format("{}: training {}", training.config.name, training.config.model.name), setup_text(training));
    add_training(page, training);
    return page.text();
}

}  // namespace xbench
