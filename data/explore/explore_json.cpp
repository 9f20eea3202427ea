// The report as JSON; what the HTML page shows and more.
#include "data/explore/explore.h"

namespace xbench {
namespace {

Json histogram_json(const Histogram& histogram) {
    return Json{{"low", histogram.low}, {"high", histogram.high}, {"counts", histogram.counts}};
}

Json intensity_json(const Intensity& of) {
    return Json{{"name", of.name},
                {"images", of.images},
                {"mean", of.mean},
                {"mean_std", of.mean_spread},
                {"contrast", of.contrast},
                {"contrast_std", of.contrast_spread},
                {"black", of.black},
                {"white", of.white},
                {"brightness_histogram", histogram_json(of.brightness)},
                {"contrast_histogram", histogram_json(of.variation)}};
}

Json subgroups_json(const Subgroups& subgroups, const std::vector<std::string>& class_names) {
    Json rows = Json::array();
    for (const Subgroups::Row& row : subgroups.rows) {
        Json classes = Json::object();
        for (size_t k = 0; k < class_names.size(); ++k) classes[class_names[k]] = row.with_class[k];
        rows.push_back({{"value", row.value},
                        {"images", row.images},
                        {"train", row.in_split[0]},
                        {"val", row.in_split[1]},
                        {"test", row.in_split[2]},
                        {"classes", classes}});
    }
    return Json{{"column", subgroups.column}, {"rows", rows}};
}

}  // namespace

Json to_json(const ExploreReport& report, const std::vector<std::string>& ids) {
    const std::vector<std::string>& names = report.summary.info.class_names;
    Json json{{"schema", "xbench.explore/1"}, {"set", to_json(report.summary)}, {"warnings", report.warnings}};
    if (report.summary.info.multilabel) {
        json["unknown"] = Json::object();
        for (size_t k = 0; k < names.size(); ++k) json["unknown"][names[k]] = report.unknown[k];
        json["together"] = Json{{"classes", names}, {"images", report.together}};
    }
    json["intensity"] = Json{{"all", intensity_json(report.all)}, {"classes", Json::array()}};
    for (const Intensity& one : report.by_class) json["intensity"]["classes"].push_back(intensity_json(one));
    json["file_sizes"] = report.sizes.empty() ? Json() : Json(report.sizes);
    json["most_images_of_a_group"] = report.most_in_group;
    json["subgroups"] = Json::array();
    for (const Subgroups& one : report.subgroups) json["subgroups"].push_back(subgroups_json(one, names));
    json["leaks"] = to_json(report.leaks, ids);
    json["leaks"]["copies_labelled_otherwise"] = report.copies_labelled_otherwise;
    return json;
}

}  // namespace xbench
