// Tags and style. Colours come from the system's light or dark scheme; the body's class names are longer than one letter,
// as those of the drawings inside have one.
#include "bench/draw/html_page.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "bench/draw/line_chart.h"

namespace xbench {
namespace {

constexpr const char* style = R"(<style>
:root{color-scheme:light dark;--text:#1b1b1b;--soft:#5a5a5a;--line:#d9d9d9;--page:#fff;--box:#f5f5f3;--warn:#fff4dc;--edge:#c77700}
@media(prefers-color-scheme:dark){:root{--text:#e8e8e6;--soft:#a8a8a4;--line:#3a3a3a;--page:#161616;--box:#202020;--warn:#3a2c10;--edge:#e69f00}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0 .25rem}
h2{font-size:1.25rem;margin:2.25rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
p{margin:.5rem 0;max-width:48rem}
a{color:inherit}
.subtitle{color:var(--soft)}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;list-style:none;padding:0;margin:1rem 0;font-size:.9rem}
.warning{border-left:4px solid var(--edge);background:var(--warn);padding:.5rem .75rem}
dl{display:grid;grid-template-columns:minmax(8rem,14rem) 1fr;gap:.3rem 1rem;margin:.75rem 0}
dt{color:var(--soft)}
dd{margin:0}
.scrolls{overflow-x:auto;margin:.75rem 0}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);padding-bottom:.25rem}
th,td{padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;overflow-wrap:normal}
thead th{font-weight:600;white-space:nowrap}
tbody th{font-weight:400}
.numbers td,.numbers thead th+th{text-align:right;white-space:nowrap}
figure{margin:1rem 0}
figcaption{color:var(--soft);font-size:.85rem}
svg{display:block;max-width:100%;height:auto}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:0 1rem}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(16rem,1fr));gap:1rem}
.pictures figure{margin:0;background:var(--box);padding:.5rem}
.row{display:flex;gap:.25rem}
.row img{flex:1 1 0;min-width:0;width:100%;height:auto}
@media(max-width:30rem){body{padding:.75rem}dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 .5rem}}
</style>
)";

std::string tagged(const char* tag, const std::string& text) {
    return fmt::format("<{0}>{1}</{0}>\n", tag, escaped_markup(text));
}

std::string head_of(const std::vector<std::string>& cells) {
    std::string row = "<tr>";
    for (const std::string& cell : cells) row += fmt::format("<th scope=\"col\">{}</th>", escaped_markup(cell));
    return row + "</tr>\n";
}

std::string row_of(const std::vector<std::string>& cells) {
    std::string row = "<tr>";
    for (size_t i = 0; i < cells.size(); ++i)
        row += i == 0 ? fmt::format("<th scope=\"row\">{}</th>", escaped_markup(cells[i]))
                      : fmt::format("<td>{}</td>", escaped_markup(cells[i]));
    return row + "</tr>\n";
}

}  // namespace

HtmlPage::HtmlPage(std::string title, std::string subtitle) : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

void HtmlPage::section(const std::string& heading) {
    sections_.push_back(heading);
    body_ += fmt::format("<h2 id=\"s{}\">{}</h2>\n", sections_.size(), escaped_markup(heading));
}

void HtmlPage::heading(const std::string& text) { body_ += tagged("h3", text); }

void HtmlPage::paragraph(const std::string& text) { body_ += tagged("p", text); }

void HtmlPage::warning(const std::string& text) {
    body_ += fmt::format("<p class=\"warning\">{}</p>\n", escaped_markup(text));
}

void HtmlPage::list(const std::vector<std::string>& items) {
    body_ += "<ul>\n";
    for (const std::string& item : items) body_ += tagged("li", item);
    body_ += "</ul>\n";
}

void HtmlPage::facts(const std::vector<std::pair<std::string, std::string>>& name_and_text) {
    body_ += "<dl>\n";
    for (const auto& [name, text] : name_and_text) body_ += tagged("dt", name) + tagged("dd", text);
    body_ += "</dl>\n";
}

void HtmlPage::table(const HtmlTable& table) {
    body_ += fmt::format("<div class=\"scrolls\"><table{}>\n", table.numbers ? " class=\"numbers\"" : "");
    if (!table.caption.empty()) body_ += tagged("caption", table.caption);
    body_ += "<thead>" + head_of(table.header) + "</thead>\n<tbody>\n";
    for (const auto& row : table.rows) body_ += row_of(row);
    body_ += "</tbody></table></div>\n";
}

void HtmlPage::drawing(const std::string& svg, const std::string& caption) {
    body_ += "<figure>\n" + svg;
    if (!caption.empty()) body_ += tagged("figcaption", caption);
    body_ += "</figure>\n";
}

void HtmlPage::begin_columns() { body_ += "<div class=\"columns\">\n"; }

void HtmlPage::end_columns() { body_ += "</div>\n"; }

void HtmlPage::pictures(const std::vector<HtmlPicture>& pictures) {
    body_ += "<div class=\"pictures\">\n";
    for (const HtmlPicture& picture : pictures) {
        body_ += "<figure><div class=\"row\">";
        for (size_t i = 0; i < picture.png.size(); ++i)
            body_ += fmt::format("<img alt=\"{}\" src=\"data:image/png;base64,{}\">",
                                 i == 0 ? escaped_markup(picture.alternative) : "", base64(picture.png[i]));
        body_ += "</div><figcaption>";
        for (size_t i = 0; i < picture.caption.size(); ++i)
            body_ += (i > 0 ? "<br>" : "") + escaped_markup(picture.caption[i]);
        body_ += "</figcaption></figure>\n";
    }
    body_ += "</div>\n";
}

std::string HtmlPage::text() const {
    std::string contents;
    for (size_t i = 0; i < sections_.size(); ++i)
        contents += fmt::format("<li><a href=\"#s{}\">{}</a></li>\n", i + 1, escaped_markup(sections_[i]));
    return fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n{1}</head>\n<body>\n"
        "<h1>{0}</h1>\n<p class=\"subtitle\">{2}</p>\n<nav aria-label=\"Contents\"><ul>\n{3}</ul></nav>\n{4}</body>\n"
        "</html>\n",
        escaped_markup(title_), style, escaped_markup(subtitle_), contents, body_);
}

std::string base64(std::string_view bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t count = std::min<size_t>(3, bytes.size() - i);
        uint32_t word = 0;
        for (size_t k = 0; k < 3; ++k) word = word << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0);
        for (size_t k = 0; k < 4; ++k) text += k <= count ? digits[word >> (18 - 6 * k) & 63] : '=';
    }
    return text;
}

}  // namespace xbench
