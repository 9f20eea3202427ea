// The sections of the page, each from one part of the report.
#include "bench/runs/explore_page.h"

#include <algorithm>

#include <fmt/core.h>

#include "bench/draw/bar_chart.h"
#include "bench/draw/html_page.h"
#include "bench/draw/line_chart.h"
#include "bench/draw/picture_sheet.h"

namespace xbench {
namespace {

constexpr size_t most_sizes = 12, most_pairs = 12, most_lines = 8;
constexpr int sheet_columns = 8;

std::string percent(int64_t part, int64_t whole) {
    return whole > 0 ? fmt::format("{:.1f}%", 100.0 * static_cast<double>(part) / static_cast<double>(whole)) : "-";
}
std::string number(int64_t value) { return fmt::format("{}", value); }
int64_t total(const std::array<int64_t, 3>& counts) { return counts[0] + counts[1] + counts[2]; }

void add_warnings(HtmlPage& page, const ExploreReport& report) {
    page.notice(report.leaks.leaks() ? HtmlPage::Notice::bad : HtmlPage::Notice::good,
                "Leaks: " + report.leaks.verdict() + ".");
    if (report.warnings.empty()) return;
    page.heading("What to look at");
    page.list(report.warnings);
}

void add_classes(HtmlPage& page, const ExploreReport& report) {
    const SetSummary& summary = report.summary;
    page.heading("Classes");
    BarChart chart{
        summary.info.multilabel ? "Images that have the class" : "Images of the class", {"train", "val", "test"}, {}};
    std::vector<std::vector<std::string>> rows;
    const int64_t images = total(summary.images);
    for (size_t k = 0; k < summary.counts.size(); ++k) {
        const auto& c = summary.counts[k];
        chart.bars.push_back({summary.info.class_names[k],
                              {static_cast<double>(c[0]), static_cast<double>(c[1]), static_cast<double>(c[2])},
                              fmt::format("{} ({})", total(c), percent(total(c), images))});
        rows.push_back({summary.info.class_names[k], number(c[0]), number(c[1]), number(c[2]), number(total(c)),
                        percent(total(c), images)});
        if (summary.info.multilabel) rows.back().push_back(number(report.unknown[k]));
    }
    std::vector<std::string> header{"class", "train", "val", "test", "all", "share"};
    if (summary.info.multilabel) header.emplace_back("unknown");
    if (summary.info.multilabel) {
        const auto& none = summary.without_class;
        rows.push_back({"(no class)", number(none[0]), number(none[1]), number(none[2]), number(total(none)),
                        percent(total(none), images), ""});
    }
    const auto& all = summary.images;
    rows.push_back({"images", number(all[0]), number(all[1]), number(all[2]), number(images), ""});
    if (summary.info.multilabel) rows.back().emplace_back("");
    page.svg(bar_chart_svg(chart, 720));
    page.table(header, rows);
}

void add_together(HtmlPage& page, const ExploreReport& report) {
    if (report.together.empty()) return;
    page.heading("Classes that go together");
    std::vector<std::string> header{"images with both"};
    std::vector<std::vector<std::string>> rows;
    for (size_t a = 0; a < report.together.size(); ++a) {
        header.push_back(report.summary.info.class_names[a]);
        rows.push_back({report.summary.info.class_names[a]});
        for (const int64_t images : report.together[a]) rows.back().push_back(number(images));
    }
    page.table(header, rows, "The diagonal is the class itself.");
}

std::string histogram_svg(const ExploreReport& report, const char* title, const char* axis, Histogram Intensity::*of) {
    LineChart chart{title, axis, "share of the images", {}};
    const auto add = [&](const Intensity& intensity, bool muted) {
        ChartLine line{intensity.name, {}, muted, false, muted};
        const Histogram& histogram = intensity.*of;
        for (size_t bin = 0; bin < histogram.counts.size(); ++bin)
            line.points.emplace_back(histogram.centre(bin), static_cast<double>(histogram.counts[bin]) /
                                                                static_cast<double>(std::max<int64_t>(1, intensity.images)));
        chart.lines.push_back(std::move(line));
    };
    for (size_t k = 0; k < report.by_class.size() && k < most_lines; ++k) add(report.by_class[k], false);
    add(report.all, true);
    chart.y_low = 0;
    return line_chart_svg(chart, 720, 300);
}

void add_intensity(HtmlPage& page, const ExploreReport& report) {
    page.heading("Brightness and contrast");
    std::vector<std::vector<std::string>> rows;
    const auto add = [&](const Intensity& one) {
        rows.push_back({one.name, number(one.images), fmt::format("{:.4f}", one.mean),
                        fmt::format("{:.4f}", one.mean_spread), fmt::format("{:.4f}", one.contrast),
                        fmt::format("{:.4f}", one.contrast_spread), fmt::format("{:.2f}%", 100 * one.black),
                        fmt::format("{:.2f}%", 100 * one.white)});
    };
    for (const Intensity& one : report.by_class) add(one);
    add(report.all);
    page.table(
        {"class", "images", "mean", "its deviation", "contrast", "its deviation", "black", "white"}, rows,
        "Of pixels in [0,1]: the mean of an image, and the standard deviation within it (contrast); over the images of a "
        "class their mean and standard deviation. Black and white: pixels of the lowest and the highest value.");
    page.svg(histogram_svg(report, "Brightness", "mean of an image", &Intensity::brightness));
    page.svg(histogram_svg(report, "Contrast", "standard deviation within an image", &Intensity::variation));
    if (report.by_class.size() > most_lines)
        page.paragraph(fmt::format("The charts show the first {} classes; explore.json has all.", most_lines));
}

void add_sizes(HtmlPage& page, const ExploreReport& report) {
    page.heading("Sizes");
    const DatasetInfo& info = report.summary.info;
    page.paragraph(fmt::format("Stored as {}x{} with {} channel{}, {} bits.", info.width, info.height, info.channels,
                               info.channels == 1 ? "" : "s", 8 * info.bytes_per_pixel));
    if (report.sizes.empty()) return page.paragraph("The set does not say which sizes its files had.");
    std::vector<std::pair<int64_t, std::string>> sizes;
    for (const auto& [size, images] : report.sizes) sizes.emplace_back(images, size);
    std::sort(sizes.begin(), sizes.end(),
              [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
    BarChart chart{fmt::format("Sizes of the files: {}", sizes.size()), {"images"}, {}};
    int64_t others = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
        if (i < most_sizes)
            chart.bars.push_back({sizes[i].second, {static_cast<double>(sizes[i].first)}, number(sizes[i].first)});
        else
            others += sizes[i].first;
    }
    if (others > 0) chart.bars.push_back({"others", {static_cast<double>(others)}, number(others)});
    page.svg(bar_chart_svg(chart, 720));
}

void add_subgroups(HtmlPage& page, const ExploreReport& report) {
    const std::vector<std::string>& names = report.summary.info.class_names;
    if (!report.subgroups.empty()) page.heading("Who is in the set");
    for (const Subgroups& column : report.subgroups) {
        std::vector<std::string> header{column.column, "images"};
        header.insert(header.end(), names.begin(), names.end());
        std::vector<std::vector<std::string>> rows;
        for (const Subgroups::Row& row : column.rows) {
            rows.push_back({row.value.empty() ? "(unknown)" : row.value, number(row.images)});
            for (const int64_t with : row.with_class) rows.back().push_back(percent(with, row.images));
        }
        page.table(header, rows, "Share of the images that have the class, by " + column.column + ".");
    }
}

void add_leaks(HtmlPage& page, const ExploreReport& report, const std::vector<std::string>& ids) {
    page.heading("Leaks between the splits");
    const LeakReport& leaks = report.leaks;
    page.table(
        {"", "found", "across splits"},
        {{"pairs of identical images", number(leaks.identical_pairs), number(leaks.identical_across)},
         {"groups of identical images", number(leaks.groups), number(leaks.groups_across)},
         {"pairs of similar images", number(leaks.similar_pairs), number(leaks.similar_across)},
         {"groups (patients) of the set", number(leaks.patients), number(leaks.patients_across)}},
        fmt::format("{} pairs of images were compared in eight orientations and as negatives. Similar images are listed "
                    "only: X-rays look alike.",
                    leaks.pairs_compared));
    std::vector<std::vector<std::string>> rows;
    for (size_t i = 0; i < leaks.examples.size() && i < most_pairs; ++i) {
        const LeakPair& pair = leaks.examples[i];
        rows.push_back({ids[static_cast<size_t>(pair.a)], ids[static_cast<size_t>(pair.b)],
                        fmt::format("{:.4f}", pair.correlation),
                        fmt::format("{}{}", pair.turned ? "turned " : "", pair.negative ? "negative" : "")});
    }
    if (!rows.empty())
        page.table({"image", "is the same as", "correlation", ""}, rows, "Identical images, those across splits first.");
}

void add_samples(HtmlPage& page, const ExploreReport& report, const Dataset& images) {
    const DatasetInfo& info = report.summary.info;
    page.heading("Samples");
    PictureSheet sheet(info.channels, info.height, info.width, sheet_columns, 80);
    std::vector<float> image(static_cast<size_t>(info.channels * info.height * info.width));
    for (size_t k = 0; k < report.samples.size(); ++k) {
        for (int column = 0; column < sheet_columns && !report.samples[k].empty(); ++column) {
            if (static_cast<size_t>(column) >= report.samples[k].size()) {
                sheet.skip();
                continue;
            }
            images.read(std::span(&report.samples[k][static_cast<size_t>(column)], 1), image.data());
            sheet.add(image, info.class_names[k]);
        }
    }
    page.png(sheet.png(), "A row a class, from all over the set.", static_cast<int>(sheet.pixel_width()));
}

}  // namespace

std::string explore_page(const ExploreReport& report, const SetRecords& records, const Dataset& images) {
    const SetSummary& summary = report.summary;
    HtmlPage page("Data set " + summary.path, fmt::format("{} images of {} classes, made from {} by {}.", summary.info.count,
                                                          summary.info.classes(), summary.source, summary.created_by));
    add_warnings(page, report);
    add_classes(page, report);
    add_samples(page, report, images);
    add_together(page, report);
    add_intensity(page, report);
    add_sizes(page, report);
    add_subgroups(page, report);
    if (summary.groups > 0) {
        page.heading("Groups");
        page.paragraph(
            fmt::format("{} groups (patients); the largest has {} images; {} images have none; {} groups lie in more "
                        "than one split.",
                        summary.groups, report.most_in_group, summary.images_without_group, summary.groups_across_splits));
    }
    add_leaks(page, report, records.ids);
    return page.text();
}

}  // namespace xbench
