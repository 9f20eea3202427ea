// The report of an evaluation: what is read back from its folder shows the model card's own sections, to the byte.
#include "bench/report/evaluation_page.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "bench/base/record.h"
#include "bench/draw/html_page.h"
#include "bench/report/report_page.h"
#include "bench/runs/model_card.h"
#include "core/error.h"
#include "core/files.h"
#include "core/rng.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

const std::vector<std::string> names{"normal", "sick, \"very\"", "odd <b>"};

Predictions random_predictions(bool multilabel) {
    Random random(7, RandomUse::test_data);
    Predictions predictions;
    predictions.classes = static_cast<int64_t>(names.size());
    for (int64_t i = 0; i < 90; ++i) {
        predictions.samples.push_back(i);
        float sum = 0;
        for (size_t k = 0; k < names.size(); ++k) {
            predictions.probabilities.push_back(0.01f + static_cast<float>(random.below(1000)) / 1000);
            sum += predictions.probabilities.back();
        }
        for (size_t k = 0; k < names.size(); ++k) {
            float& probability = predictions.probabilities[predictions.probabilities.size() - names.size() + k];
            probability = multilabel ? std::min(probability, 1.0f) : probability / sum;
            // Of the last class there is no image: its areas are undefined.
            if (multilabel) predictions.targets.push_back(k < 2 && random.below(3) == 0 ? 1 : 0);
        }
        if (!multilabel) predictions.labels.push_back(static_cast<int32_t>(random.below(2)));
    }
    predictions.loss_sum = 45;
    return predictions;
}

// A folder as `xbench eval` leaves it, and what was written there.
struct Evaluated {
    fs::path folder = fs::path(testing::TempDir()) / fmt::format("xb_evaluated_{}", getpid());
    Evaluation evaluation;
    std::vector<Subgroup> subgroups;

    explicit Evaluated(bool multilabel) {
        const Predictions predictions = random_predictions(multilabel);
        EvaluationOptions options;
        options.thresholds = {0.3, 0.4, 0.5};
        options.bootstrap.replicates = 40;
        for (int i = 0; i < 90; ++i) options.groups.push_back(fmt::format("p{}", i / 3));
        evaluation = evaluate(predictions, names, options);
        std::vector<std::string> sexes;
        for (int i = 0; i < 90; ++i) sexes.emplace_back(i % 2 ? "F" : "M");
        subgroups = score_subgroups(predictions, names, options.groups, {{"sex", sexes}}, options.bootstrap);
        fs::create_directories(folder);
        Json json = to_json(evaluation);
        json["subgroups"] = to_json(subgroups);
        json.update(Json{{"split", "val"},
                         {"model", "tiny"},
                         {"checkpoint", "/srv/someone/best.safetensors"},
                         {"weights_hash", "0123abcd"},
                         {"data", "/srv/someone/set.h5"},
                         {"data_sha", "fedc"},
                         {"leaks", {{"data", "none"}, {"training_data", nullptr}}}});
        write("metrics.json", json_text(json));
        write("roc.csv", roc_csv(evaluation.curves));
        write("pr.csv", pr_csv(evaluation.curves));
        write("calibration.csv", calibration_csv(evaluation.calibrations));
        write("predictions.csv", "id,label,predicted\n");
    }
    ~Evaluated() { fs::remove_all(folder); }
    Evaluated(const Evaluated&) = delete;
    Evaluated& operator=(const Evaluated&) = delete;
    void write(const char* name, const std::string& text) const { write_text(folder / name, text); }
    std::string page() const {
        const std::vector<ReportFile> files = report_files(folder);
        EXPECT_EQ(files.size(), 1u);
        EXPECT_EQ(files.front().name, "report.html");
        return files.front().text;
    }
};

std::string sections(const Evaluation& evaluation, const std::vector<Subgroup>& subgroups) {
    HtmlPage page("");
    results_summary({evaluation, "val", subgroups, ""}, page);
    results_section({evaluation, "val", subgroups, ""}, page);
    return page.text();
}

TEST(EvaluationPage, ShowsWhatTheCardShows) {
    for (const bool multilabel : {false, true}) {
        const Evaluated here(multilabel);
        EXPECT_EQ(kind_of_run(here.folder), RunKind::evaluation);
        const EvaluationFiles files = read_evaluation(here.folder);
        EXPECT_EQ(sections(files.evaluation, files.subgroups), sections(here.evaluation, here.subgroups)) << multilabel;
        const std::string page = here.page();
        for (const char* text : {"tiny on the val split: accuracy 0.", "patients (all images of one come along)",
                                 "on 90 images", "sick, &quot;very&quot;", "odd &lt;b&gt;", "0123abcd", "set.h5", "fedc",
                                 "Precision and recall", "Calibration", "Subgroups", "<td>F</td>", "xbench report FOLDER"})
            EXPECT_THAT(page, HasSubstr(text));
        for (const char* text : {"/srv/someone", "model_card.html", "<script"}) EXPECT_THAT(page, Not(HasSubstr(text)));
        EXPECT_EQ(page, here.page());
        here.write("model_card.html", "");
        EXPECT_THAT(here.page(), HasSubstr("<a href=\"model_card.html\">The model card</a>"));
        EXPECT_THAT(report_of_several({here.folder, here.folder}),
                    testing::AllOf(HasSubstr(": an evaluation"), Not(HasSubstr("href=\"model_card.html\""))));
    }
}

// Files of another version, or torn ones, lose what they do not hold, and nothing else.
TEST(EvaluationPage, ReadsWhatIsThere) {
    const Evaluated here(false);
    for (const char* name : {"roc.csv", "pr.csv", "calibration.csv"}) here.write(name, "class,other\na,1\n");
    EXPECT_THAT(here.page(), HasSubstr("tiny on the val split"));
    for (const char* name : {"roc.csv", "pr.csv", "calibration.csv"}) fs::remove(here.folder / name);
    EXPECT_THAT(here.page(), HasSubstr("tiny on the val split"));
    here.write("metrics.json", R"({"bootstrap": [], "per_class": 3, "curves": {"a": 1}, "calibration": {"top class": []},
                                   "subgroups": {"sex": 1}, "confusion": [[1]], "leaks": "x", "split": 2})");
    EXPECT_THAT(here.page(), HasSubstr("Evaluation of a model"));
    for (const char* text : {"", "{", "[]", "{}"}) {
        here.write("metrics.json", text);
        EXPECT_THROW(report_files(here.folder), UsageError) << text;
    }
}

}  // namespace
}  // namespace xbench
