// A reader counts once for a label, however many boxes of it there are.
#include "data/import/csv_boxes.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/core.h>

#include "core/error.h"

namespace xbench {
namespace {

float number_in(const std::string& cell, const std::string& place) {
    float value = 0;
    const auto [end, failure] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (failure != std::errc{} || end != cell.data() + cell.size() || !std::isfinite(value))
        throw UsageError("'" + cell + "' is no number", place);
    return value;
}

}  // namespace

BoxColumns::BoxColumns(const CsvTable& table, const ImportOptions& options) {
    if (options.consensus != "union" && options.consensus != "majority")
        throw UsageError("'" + options.consensus + "' is neither union nor majority", "--consensus");
    majority_ = options.consensus == "majority";
    const auto box = options.columns.find("box"), corners = options.columns.find("corners");
    given_ = box != options.columns.end() || corners != options.columns.end();
    if (!given_) return;
    if (options.columns.contains("labels"))
        throw UsageError("boxes need a label a row, not a column a class", "--columns", "name it with label=NAME");
    corners_ = corners != options.columns.end();
    const std::vector<std::string> names = split_text((corners_ ? corners : box)->second, '+');
    if (names.size() != 4)
        throw UsageError(fmt::format("{} columns for a box", names.size()), "--columns",
                         "write box=X+Y+WIDTH+HEIGHT or corners=LEFT+TOP+RIGHT+BOTTOM");
    for (size_t s = 0; s < 4; ++s) {
        ImportOptions one;
        one.columns = {{names[s], trimmed(names[s])}};
        sides_[s] = find_column(table, one, names[s], true);
    }
    reader_ = find_column(table, options, "reader", majority_);
}

std::optional<std::array<float, 4>> BoxColumns::read(const std::vector<std::string>& row, const std::string& place) {
    const auto missing = std::count_if(sides_.begin(), sides_.end(), [&](size_t at) { return is_missing(row[at]); });
    if (missing == 4) return std::nullopt;
    if (missing > 0) throw UsageError("a box of which some sides are missing", place);
    std::array<float, 4> box;
    for (size_t s = 0; s < 4; ++s) box[s] = number_in(row[sides_[s]], place);
    if (corners_) box[2] -= box[0], box[3] -= box[1];
    if (box[2] > 0 && box[3] > 0) return box;
    ++left_out_;
    return std::nullopt;
}

void BoxColumns::add(size_t item, const std::vector<std::string>& row, const RowLabels& labels, const std::string& place) {
    images_.resize(std::max(images_.size(), item + 1));
    Image& image = images_[item];
    const std::string reader = reader_ == no_column ? "" : row[reader_];
    image.readers.insert(reader);
    const auto box = read(row, place);
    for (const std::string& label : labels.present) {
        if (is_no_finding(label)) continue;
        image.readers_of[label].insert(reader);
        if (box) image.boxes.push_back({label, *box});
    }
}

std::vector<std::string> BoxColumns::classes_of(size_t item) const {
    std::vector<std::string> classes;
    for (const auto& [label, readers] : images_[item].readers_of)
        if (!majority_ || 2 * readers.size() > images_[item].readers.size()) classes.push_back(label);
    return classes;
}

void BoxColumns::give_boxes(ImportList& list) const {
    list.has_boxes = true;
    for (size_t i = 0; i < images_.size(); ++i) {
        for (const Marked& marked : images_[i].boxes) {
            const auto found = std::find(list.class_names.begin(), list.class_names.end(), marked.label);
            const auto k = static_cast<int32_t>(found - list.class_names.begin());
            const auto& has = list.items[i].classes;
            if (std::find(has.begin(), has.end(), k) == has.end()) continue;
            const auto& [left, top, width, height] = marked.sides;
            list.items[i].boxes.push_back({static_cast<float>(k), left, top, width, height});
        }
    }
}

}  // namespace xbench
