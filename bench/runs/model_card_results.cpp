// What a card says of scores, subgroups, curves, calibration and single cases, and of their limits.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bench/draw/html_page.h"
#include "bench/runs/charts.h"
#include "bench/runs/model_card.h"

namespace xbench {
namespace {

constexpr int64_t few_positives = 10;  // images of a class: below it, a score of the class says little

std::string three_digits(double value) { return std::isnan(value) ? "undefined" : fmt::format("{:.3f}", value); }

void how_measured(const EvaluationResults& results, HtmlPage& page) {
    const Bootstrap& bootstrap = results.evaluation.bootstrap;
    page.facts(
        {{"Intervals",
          fmt::format("{:g}%, percentiles of {} replicates of a bootstrap over {} {}, seed {}",
                      100 * bootstrap.options.level, bootstrap.options.replicates, bootstrap.groups,
                      bootstrap.by_patient ? "patients (all images of one come along)" : "images", bootstrap.options.seed)},
         {"Balanced accuracy", results.evaluation.metrics.multilabel
                                   ? "mean of (sensitivity + specificity) / 2 over the classes with images of both kinds"
                                   : "mean recall of the classes that occur"},
         {"Accuracy", results.evaluation.metrics.multilabel ? "share of images with exactly the right set of classes"
                                                            : "share of images with the right class"},
         {"What a score of a class counts",
          results.evaluation.metrics.multilabel
              ? "a class is said from a probability of .5 on; at the chosen thresholds further down"
              : "the most probable class is said"}});
}

// One score a column, with its interval.
void score_table(const EvaluationResults& results, const std::string& caption, const std::vector<std::string>& scores,
                 HtmlPage& page) {
    const Evaluation& evaluation = results.evaluation;
    CardTable table{{"class", "images"}, {}, caption};
    for (const std::string& score : scores)
        table.header.push_back(score == "f1"                  ? "F1"
                               : score == "roc_auc"           ? "ROC AUC"
                               : score == "average_precision" ? "average precision"
                                                              : score);
    for (const ClassScore& one : evaluation.metrics.per_class) {
        table.rows.push_back({one.name, std::to_string(one.support)});
        for (const std::string& score : scores)
            table.rows.back().push_back(with_interval(evaluation.bootstrap, one.name + " " + score));
    }
    page.table(table.header, table.rows, table.caption);
}

void threshold_table(const EvaluationResults& results, HtmlPage& page) {
    const Evaluation& evaluation = results.evaluation;
    if (evaluation.thresholds.empty()) return;
    CardTable table{{"class", "threshold", "precision", "recall", "F1"},
                    {},
                    "At the thresholds of the largest F1 on the validation split, kept with the weights"};
    for (size_t c = 0; c < evaluation.at_thresholds.size(); ++c) {
        const ClassScore& one = evaluation.at_thresholds[c];
        table.rows.push_back({one.name, three_digits(evaluation.thresholds[c]), three_digits(one.precision),
                              three_digits(one.recall), three_digits(one.f1)});
    }
    page.table(table.header, table.rows, table.caption);
}

void confusion_table(const EvaluationResults& results, HtmlPage& page) {
    const Metrics& metrics = results.evaluation.metrics;
    if (metrics.confusion.empty()) return;
    CardTable table{{"is \\ said"}, {}, "Images by what they are (rows) and what was said (columns)"};
    for (const ClassScore& one : metrics.per_class) table.header.push_back(one.name);
    for (size_t c = 0; c < metrics.confusion.size(); ++c) {
        table.rows.push_back({metrics.per_class[c].name});
        for (const int64_t count : metrics.confusion[c]) table.rows.back().push_back(std::to_string(count));
    }
    page.table(table.header, table.rows, table.caption);
}

void calibration_table(const EvaluationResults& results, HtmlPage& page) {
    CardTable table{{"of", "ECE, 15 equal bins", "ECE, equal mass", "largest gap", "Brier", "slope", "intercept"},
                    {},
                    "Whether a probability means what it says: slope 1 and intercept 0 are perfect"};
    for (const Calibration& one : results.evaluation.calibrations)
        table.rows.push_back({one.name, three_digits(one.ece), three_digits(one.ece_equal_mass), three_digits(one.mce),
                              three_digits(one.brier), three_digits(one.slope), three_digits(one.intercept)});
    page.table(table.header, table.rows, table.caption);
}

void subgroup_table(const EvaluationResults& results, HtmlPage& page) {
    page.subheading("Subgroups");
    if (results.subgroups.empty()) {
        page.paragraph(results.no_subgroups);
        return;
    }
    CardTable table{{"column", "value", "images", "accuracy", "balanced accuracy", "mean ROC AUC"}, {}, {}};
    for (const Subgroup& group : results.subgroups) {
        double sum = 0;
        int defined = 0;
        for (const ScoreInterval& score : group.scores.scores)
            if (score.name.ends_with(" roc_auc") && !std::isnan(score.value)) sum += score.value, ++defined;
        table.rows.push_back({group.column, group.value, std::to_string(group.images),
                              with_interval(group.scores, "accuracy"), with_interval(group.scores, "balanced_accuracy"),
                              defined > 0 ? three_digits(sum / defined) : "undefined"});
    }
    page.table(table.header, table.rows, table.caption);
}

void pictures_of(const std::vector<ExplainedCase>& cases, HtmlPage& page) {
    std::vector<HtmlPicture> pictures;
    for (const ExplainedCase& one : cases) {
        const std::string& shown = one.found.of_class_name;
        HtmlPicture picture{
            {one.image, one.overlay}, fmt::format("{}, and where it shows what speaks for {}", one.id, shown), {}};
        const bool told_by_heading = one.found.kind == "right" || one.found.kind == "wrong";
        picture.caption.push_back(told_by_heading ? one.id : fmt::format("{}: {}", one.found.kind, one.id));
        picture.caption.push_back(fmt::format("is {}, said {}", one.found.truth.empty() ? "(none)" : one.found.truth,
                                              one.found.said.empty() ? "(none)" : one.found.said));
        picture.caption.push_back(fmt::format("map of {}, probability {:.3f}{}", shown, one.found.probability,
                                              one.nothing ? "; the map is zero" : ""));
        pictures.push_back(std::move(picture));
    }
    page.gallery(pictures);
}

std::string one_sided_classes(const ModelCard& card) {
    std::string names;
    for (const Curve& curve : card.evaluation.curves)
        if (curve.positive < few_positives)
            names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", curve.name, curve.positive);
    return names;
}

}  // namespace

EvaluationResults results_of(const ModelCard& card) {
    return {card.evaluation, card.split, card.subgroups,
            card.columns.empty() ? "The set has no column of sex, age, view or site, so nobody can say whether the model is "
                                   "worth as much to everybody."
                                 : "The columns of the set do not divide these images: each has one value, or too many."};
}

void results_summary(const EvaluationResults& results, HtmlPage& page) {
    const Metrics& metrics = results.evaluation.metrics;
    const Bootstrap& bootstrap = results.evaluation.bootstrap;
    CardTable table{{"score", fmt::format("{} ({:g}% interval)", results.split, 100 * bootstrap.options.level)}, {}, {}};
    table.rows.push_back({"accuracy", with_interval(bootstrap, "accuracy")});
    table.rows.push_back({"balanced accuracy", with_interval(bootstrap, "balanced_accuracy")});
    table.rows.push_back(
        {fmt::format("always saying {}", metrics.majority_answer), three_digits(metrics.majority_baseline)});
    table.rows.push_back({"macro F1", with_interval(bootstrap, "macro f1")});
    table.rows.push_back({"images", std::to_string(metrics.count)});
    page.table(table.header, table.rows, table.caption);
}

void results_section(const EvaluationResults& results, HtmlPage& page) {
    page.heading(fmt::format("Results on the {} split", results.split));
    how_measured(results, page);
    score_table(results, "Decisions, each class against the rest", {"precision", "recall", "f1"}, page);
    score_table(results, "Ranking, each class against the rest", {"roc_auc", "average_precision"}, page);
    threshold_table(results, page);
    confusion_table(results, page);
    page.subheading("Curves");
    page.svgs_in_columns({roc_svg(results.evaluation.curves, card_chart_width, card_chart_height),
                          pr_svg(results.evaluation.curves, card_chart_width, card_chart_height)});
    page.subheading("Calibration");
    page.svg(calibration_svg(results.evaluation.calibrations, card_chart_width, card_chart_height));
    calibration_table(results, page);
    subgroup_table(results, page);
}

void card_cases(const ModelCard& card, HtmlPage& page) {
    page.heading("Single cases");
    if (card.right.empty() && card.wrong.empty()) {
        page.paragraph("None were asked for.");
        return;
    }
    page.paragraph(
        fmt::format("The image, and over it Grad-CAM of the layer {}: the brighter, the more the place speaks for the "
                    "class. The cases that "
                    "the model is surest of, class by class; they are not typical. A map shows what the network uses, not "
                    "whether it is right "
                    "to, and is as coarse as the layer.",
                    card.layer));
    page.subheading("Wrong");
    if (card.wrong.empty())
        page.paragraph("No image of the split.");
    else
        pictures_of(card.wrong, page);
    page.subheading("Right");
    if (card.right.empty())
        page.paragraph("No image of the split.");
    else
        pictures_of(card.right, page);
}

void card_caveats(const ModelCard& card, HtmlPage& page) {
    page.heading("Ethical considerations and caveats");
    std::vector<std::string> items{
        "The images show people. Whether they agreed, and who may use the images for what, is for the source to say and for "
        "the "
        "user to check; pictures of this card show some of them.",
        "A missed finding and a false alarm do different harm. Accuracy weighs them alike; look at recall and precision of "
        "the "
        "class in question.",
        "What the images have beside the finding (markers, devices, scanner, the way a patient lies) may be what the "
        "network has "
        "learned.",
        fmt::format(
            "{} images of one split say this much and no more: the intervals cover the draw of the images, not another "
            "hospital, another year or another training.",
            card.evaluation.metrics.count),
        leak_verdict(card)};
    if (const std::string few = one_sided_classes(card); !few.empty())
        items.push_back(fmt::format("Too few images to say much of: {}.", few));
    if (card.split != "test")
        items.push_back(fmt::format(
            "These are scores of the {} split, on which the model was chosen or trained: they flatter.", card.split));
    page.list(items);
}

void card_checklist(const ModelCard& card, HtmlPage& page) {
    const bool trained = card.sources.training.is_object(), account = card.sources.account.is_object();
    page.heading("Where CLAIM 2024 looks");
    const std::string nowhere = "not stated";
    CardTable table{{"item", "here"}, {}, {}};
    table.rows = {{"Data sources; inclusion and exclusion, with a flow", account ? "Data" : "Data; the flow is not known"},
                  {"Preprocessing", "Model details (input), Data"},
                  {"De-identification, missing data, acquisition", nowhere},
                  {"Reference standard, its source and variability", "Data: labels of the source; variability " + nowhere},
                  {"Partitions, and the level at which they are disjoint", "Data"},
                  {"Sample size and how it was determined", "Data; how it was determined " + nowhere},
                  {"Model, software, initialisation", trained ? "Model details, Training" : "Model details"},
                  {"Training, and how the final model was selected", trained ? "Training" : nowhere},
                  {"Metrics and their uncertainty", "Results"},
                  {"Performance in subgroups", card.subgroups.empty() ? "no columns to make them of" : "Results"},
                  {"Robustness or sensitivity analysis", "not done"},
                  {"Explainability", card.right.empty() && card.wrong.empty() ? "not shown" : "Single cases"},
                  {"Internal and external testing", "internal only"},
                  {"Demographic and clinical characteristics", card.columns.empty() ? nowhere : "Results, Subgroups"},
                  {"Failure analysis", card.wrong.empty() ? "not shown" : "Single cases"},
                  {"Limitations, implications for practice", "Intended use; Ethical considerations and caveats"}};
    page.table(table.header, table.rows, table.caption, HtmlPage::Columns::text);
}

}  // namespace xbench
