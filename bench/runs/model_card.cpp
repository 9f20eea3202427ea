// The order of the card, and what it says of the model, its use and its data.
#include "bench/runs/model_card.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bench/draw/html_page.h"
#include "bench/runs/charts.h"
#include "data/import/leaks.h"

namespace xbench {
namespace {

constexpr const char* not_stated = "Not stated. Add it before the card is passed on.";

std::string share_text(double share) { return fmt::format("{:.3f}", share); }

int64_t parameters_of(const Graph& graph) {
    int64_t count = 0;
    for (const ValueId id : graph.parameters) count += graph.value(id).shape.elements();
    return count;
}

// "conv2d, batchnorm, relu ..." in order, with the sizes of what they give.
std::string layers_text(const Graph& graph) {
    std::string text;
    for (const Node& node : graph.nodes) {
        if (graph.is_loss(node.out[0])) continue;
        Shape shape = graph.value(node.out[0]).shape;
        std::string size;
        for (int axis = 1; axis < shape.rank; ++axis) size += (axis > 1 ? "x" : "") + std::to_string(shape[axis]);
        text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", node.name, name_of(node.op), size);
    }
    return text;
}

std::string flat_keys(const Json& section) {
    std::string text;
    for (const auto& [key, value] : section.items())
        if (key != "path")  // a place on somebody's disk
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key, json_text(value));
    return text;
}

int64_t number_in(const Json& json, const char* group, const char* key) {
    if (!json.contains(group) || !json.at(group).contains(key) || !json.at(group).at(key).is_number_integer()) return 0;
    return json.at(group).at(key).get<int64_t>();
}

// Files in, files out, with the reasons: CLAIM's flow.
void exclusions(const Json& account, HtmlPage& page) {
    page.subheading("From files to images");
    if (!account.is_object()) {
        page.paragraph(
            "The account of the import is not beside the set, so the files that were left out are not known here.");
        return;
    }
    CardTable flow{{"step", "files"}, {}, "Every file that the import met"};
    flow.rows.push_back({"met below the source", std::to_string(number_in(account, "files", "met"))});
    flow.rows.push_back({"left out by a rule", std::to_string(number_in(account, "files", "ignored"))});
    flow.rows.push_back(
        {"left out because they could not be read", std::to_string(number_in(account, "files", "quarantined"))});
    flow.rows.push_back({"became images of the set", std::to_string(number_in(account, "files", "imported"))});
    page.table(flow.header, flow.rows, flow.caption);
    std::vector<std::string> reasons;
    for (const char* part : {"notes", "warnings"})
        if (account.contains(part) && account.at(part).is_array())
            for (const Json& remark : account.at(part))
                if (remark.is_string()) reasons.push_back(remark.get<std::string>());
    if (!reasons.empty()) page.list(reasons);
}

void images_by_split(const SetSummary& set, HtmlPage& page) {
    CardTable table{{"class", "train", "val", "test"}, {}, "Images; one with several labels counts in each"};
    const auto row = [](const std::string& name, const std::array<int64_t, 3>& counts) {
        return std::vector<std::string>{name, std::to_string(counts[0]), std::to_string(counts[1]),
                                        std::to_string(counts[2])};
    };
    for (size_t k = 0; k < set.counts.size(); ++k) table.rows.push_back(row(set.info.class_names[k], set.counts[k]));
    if (set.info.multilabel) table.rows.push_back(row("(none of them)", set.without_class));
    table.rows.push_back(row("all", set.images));
    page.table(table.header, table.rows, table.caption);
}

}  // namespace

std::string with_interval(const Bootstrap& bootstrap, const std::string& name) {
    const auto score = std::find_if(bootstrap.scores.begin(), bootstrap.scores.end(),
                                    [&](const ScoreInterval& one) { return one.name == name; });
    if (score == bootstrap.scores.end() || std::isnan(score->value)) return "undefined";
    if (std::isnan(score->interval.low)) return share_text(score->value);
    return fmt::format("{:.3f} ({:.3f} to {:.3f})", score->value, score->interval.low, score->interval.high);
}

std::string leak_verdict(const ModelCard& card) {
    const std::string &of_set = card.set.info.leaks, &of_training = card.model.leaks;
    if (!of_set.empty()) {  // the set's own word, which is about patients, too
        const std::string other = of_training.empty() || of_training == of_set
                                      ? std::string()
                                      : fmt::format(" Of the set that it was trained on: {}.", of_training);
        return fmt::format("Images and patients in several splits: {}{}{}", of_set,
                           says_leaks(of_set) ? ", so scores may be too good." : ".", other);
    }
    std::string text = "Images that lie in several splits: not checked.";
    if (card.set.groups == 0)
        return text + " The set names no patients, so nobody can tell whether one has images in several splits.";
    if (card.set.groups_across_splits == 0)
        return text + fmt::format(" Patients (groups): {}, none of them in more than one split.", card.set.groups);
    return text + fmt::format(" Patients (groups): {} of {} have images in more than one split, so scores may be too good.",
                              card.set.groups_across_splits, card.set.groups);
}

void card_summary(const ModelCard& card, HtmlPage& page) {
    results_summary(results_of(card), page);
    page.notice(
        HtmlPage::Notice::bad,
        "For research and for measuring training systems. Not a medical device, not clinically evaluated, and not to be "
        "used for diagnosis, triage or treatment.");
    const bool clean = !card.set.info.leaks.empty() && !says_leaks(card.set.info.leaks) && !says_leaks(card.model.leaks);
    page.notice(clean ? HtmlPage::Notice::good : HtmlPage::Notice::bad, leak_verdict(card));
}

void card_model(const ModelCard& card, HtmlPage& page) {
    const ModelDescription& about = card.model;
    page.heading("Model details");
    page.facts(
        {{"Model", about.model.name},
         {"Learned parameters", fmt::format("{}", parameters_of(card.graph))},
         {"Layers", layers_text(card.graph)},
         {"Input", fmt::format("{} x {} x {}, scaled to 0..1, minus {}, divided by {}", about.model.channels,
                               about.model.size, about.model.size, fmt::join(about.mean, ", "), fmt::join(about.std, ", "))},
         {"Output", fmt::format("{} of {}", about.model.multilabel ? "a probability for each" : "one",
                                fmt::join(about.class_names, ", "))},
         {"Weights", fmt::format("{} (XXH3-128 over the numbers), {}", card.weights_hash, card.checkpoint)},
         {"Evaluated by", card.version},
         {"Authors, contact, licence", not_stated}});
}

void card_use(const ModelCard& card, HtmlPage& page) {
    page.heading("Intended use, and what it must not be used for");
    page.paragraph(
        "Intended: to compare ways of training (programs, machines, numbers of ranks) on one set and one split, and "
        "to study errors of such models. Intended users: engineers and researchers.");
    page.subheading("Not for");
    std::vector<std::string> not_for{
        "Decisions about patients: diagnosis, triage, treatment, screening, or a second opinion. It has not been "
        "evaluated clinically, and no authority has cleared it.",
        fmt::format(
            "Images other than those it was trained on: another population, age, hospital, scanner, view, or image "
            "processing than that of {}. It gives probabilities for any image, also for one that shows none of this.",
            card.set.source.empty() ? "the training set" : card.set.source),
        fmt::format("Findings other than {}: what is not a class is not looked for.",
                    fmt::join(card.model.class_names, ", ")),
        "Comparison with scores on another split or set.",
        "Finding where something is: the heat maps say what the network uses, not where a finding lies."};
    if (!card.model.model.multilabel)
        not_for.push_back("Images that may be of several classes, or of none: it always chooses one.");
    page.list(not_for);
}

void card_data(const ModelCard& card, HtmlPage& page) {
    const SetSummary& set = card.set;
    page.heading("Data");
    page.facts(
        {{"Set", fmt::format("{}, digest {}", set.path, card.set_digest)},
         {"Made from", fmt::format("{} by {}", set.source.empty() ? "an unknown source" : set.source,
                                   set.created_by.empty() ? "an unknown program" : set.created_by)},
         {"Images", fmt::format("{} of {}x{}x{}, {} bits a sample", set.info.count, set.info.channels, set.info.height,
                                set.info.width, 8 * set.info.bytes_per_pixel)},
         {"Reference standard",
          "The labels of the source. Who gave them, by which rule, and how far readers agreed is not "
          "recorded in the set."},
         {"Level of the partition", set.groups > 0 ? fmt::format("{} groups (patients) are named; {} images without one",
                                                                 set.groups, set.images_without_group)
                                                   : "by image: the set names no patients"},
         {"Leaks", leak_verdict(card)},
         {"Kind of test", "Internal: training, validation and test come from one set. No external testing."},
         {"Demography", card.columns.empty() ? "The set has no column of sex, age, view or site."
                                             : fmt::format("The set has the columns {}.", fmt::join(card.columns, ", "))},
         {"Acquisition, dates, place", not_stated}});
    page.subheading("Images by split");
    images_by_split(set, page);
    exclusions(card.sources.account, page);
}

void card_training(const ModelCard& card, HtmlPage& page) {
    page.heading("Training");
    const Json& config = card.sources.training;
    if (!config.is_object()) {
        page.paragraph("No configuration lies beside the checkpoint, so how it was trained is not known here.");
        return;
    }
    std::vector<std::pair<std::string, std::string>> facts;
    for (const char* part : {"train", "data", "model"})
        if (config.contains(part) && config.at(part).is_object())
            facts.emplace_back(fmt::format("Configuration, {}", part), flat_keys(config.at(part)));
    facts.emplace_back("Model that was kept",
                       "that of the best epoch on the validation split; the test split chose nothing");
    page.facts(facts);
    if (card.sources.history.empty()) return;
    page.svgs_in_columns(training_svgs(card.sources.history, card_chart_width, card_chart_height));
}

std::string model_card_html(const ModelCard& card) {
    HtmlPage page(fmt::format("Model card: {}", card.model.model.name),
                  fmt::format("Weights {}, evaluated on the {} split of {}", card.weights_hash.substr(0, 8), card.split,
                              card.set.path));
    card_summary(card, page);
    card_model(card, page);
    card_use(card, page);
    card_data(card, page);
    card_training(card, page);
    results_section(results_of(card), page);
    card_cases(card, page);
    card_caveats(card, page);
    card_checklist(card, page);
    return page.text();
}

}  // namespace xbench
