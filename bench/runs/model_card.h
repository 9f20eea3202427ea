// model_card.html of an evaluation: what a model is, what it was made from, what it is worth and for whom, and what it must
// not be used for. Fields of Mitchell et al., "Model cards for model reporting" (2019), and those of CLAIM 2024, the
// checklist for artificial intelligence in medical imaging. What xbench cannot know is said to be not stated, never left
// out.
#pragma once

#include <string>
#include <vector>

#include "data/set/set_summary.h"
#include "eval/cases.h"
#include "eval/evaluation.h"
#include "eval/subgroups.h"
#include "parallel/checkpoint/checkpoint.h"
#include "parallel/checkpoint/epoch_result.h"

namespace xbench {

class HtmlPage;

struct CardTable {
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;
    std::string caption;
};

// Drawings of a card, in CSS pixels: narrow enough for a telephone.
inline constexpr int card_chart_width = 400, card_chart_height = 340;

struct ExplainedCase {
    EvaluatedCase found;
    std::string id;
    std::vector<uint8_t> image, overlay;  // PNG files
    bool nothing = false;                 // the map is zero: nothing in the layer speaks for the class
};

// What lies beside the checkpoint and the set, where it is found.
struct CardSources {
    Json training;                     // config.resolved.json of the run; null: not found
    std::vector<EpochResult> history;  // of the run
    Json account;                      // SET.import.json; null: not found
};
CardSources find_card_sources(const std::string& checkpoint, const std::string& set);

struct ModelCard {
    const ModelDescription& model;
    const Graph& graph;
    const Evaluation& evaluation;
    SetSummary set;
    std::string split, set_digest, checkpoint, weights_hash, version;
    CardSources sources;
    std::vector<Subgroup> subgroups;
    std::vector<std::string> columns;  // of the set: sex, age, view, site
    std::vector<ExplainedCase> right, wrong;
    std::string layer;  // that the maps are of
};

std::string model_card_html(const ModelCard& card);

// What a card shares with the report of the same evaluation (bench/report/evaluation_page.h).
struct EvaluationResults {
    const Evaluation& evaluation;
    std::string split;
    const std::vector<Subgroup>& subgroups;
    std::string no_subgroups;  // why there are none
};
void results_summary(const EvaluationResults& results, HtmlPage& page);  // the scores that a reader looks for first
void results_section(const EvaluationResults& results, HtmlPage& page);  // all of them, curves and calibration

// What is known of images or patients that lie in several splits, in one sentence.
std::string leak_verdict(const ModelCard& card);

// "0.931 (0.902 to 0.955)", or "undefined": a score of a bootstrap by its name.
std::string with_interval(const Bootstrap& bootstrap, const std::string& name);

// Its parts, from top to bottom.
void card_summary(const ModelCard& card, HtmlPage& page);
void card_model(const ModelCard& card, HtmlPage& page);
void card_use(const ModelCard& card, HtmlPage& page);
void card_data(const ModelCard& card, HtmlPage& page);
void card_training(const ModelCard& card, HtmlPage& page);
EvaluationResults results_of(const ModelCard& card);
void card_cases(const ModelCard& card, HtmlPage& page);
void card_caveats(const ModelCard& card, HtmlPage& page);
void card_checklist(const ModelCard& card, HtmlPage& page);

}  // namespace xbench
