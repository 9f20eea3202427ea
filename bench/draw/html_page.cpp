// Strings put together; one style sheet for all pages. Its class names are longer than one letter, as those of the drawings
// inside have one.
#include "bench/draw/html_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bench/draw/line_chart.h"

namespace xbench {
namespace {

constexpr const char* page_style =
    R"(:root{color-scheme:light dark;--ink:#1b1b1b;--soft:#5a5a5a;--line:#d9d9d9;--paper:#fff;--shade:#f5f5f3;--warn:#fff4dc;--bad:#c77700;--good:#0a6b3d}
@media(prefers-color-scheme:dark){:root{--ink:#e8e8e6;--soft:#a8a8a4;--line:#3a3a3a;--paper:#161616;--shade:#202020;--warn:#3a2c10;--bad:#e69f00;--good:#58c08d}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:68rem;padding:1rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0 .25rem}
h2{font-size:1.25rem;margin:2.25rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
p{margin:.5rem 0;max-width:50rem}
.part{font-size:1.5rem;margin:3rem 0 .25rem;padding-top:1rem;border-top:3px solid var(--line)}
pre{margin:.5rem 0;padding:.5rem .75rem;background:var(--shade);overflow-x:auto;font:.85rem/1.4 ui-monospace,monospace;white-space:pre-wrap}
details{margin:.75rem 0}
summary{cursor:pointer}
.file{font-size:.85rem;color:var(--soft);margin:.25rem 0 1rem}
a{color:inherit}
.lead,figcaption,.caption,dt{color:var(--soft)}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;list-style:none;padding:0;margin:1rem 0;font-size:.9rem}
.notice{border-left:4px solid var(--good);background:var(--shade);padding:.5rem .75rem}
.notice.bad{border-color:var(--bad);background:var(--warn)}
dl{display:grid;grid-template-columns:minmax(8rem,14rem) 1fr;gap:.3rem 1rem;margin:.75rem 0}
dd{margin:0}
.wide{overflow-x:auto;margin:.75rem 0}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
.caption{font-size:.9rem;margin:1rem 0 0}
.caption+.wide{margin-top:.25rem}
th,td{padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;overflow-wrap:normal}
th{font-weight:600;white-space:nowrap}
.numbers td{white-space:nowrap}
.numbers th+th,.numbers td+td{text-align:right}
figure{margin:1rem 0}
figcaption{font-size:.85rem}
figure svg{display:block}
figure svg,figure img{max-width:100%;height:auto}
.single{image-rendering:pixelated}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:0 1rem}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(16rem,1fr));gap:1rem}
.gallery figure{margin:0;background:var(--shade);padding:.5rem}
.row{display:flex;gap:.25rem}
.row img{flex:1 1 0;min-width:0;width:100%}
@media(max-width:30rem){body{padding:.75rem}dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 .5rem}}
)";

std::string tagged(const char* tag, const std::string& text) {
    return fmt::format("<{0}>{1}</{0}>\n", tag, escaped_markup(text));
}

std::string row_of(const std::vector<std::string>& cells, const char* begin, const char* end) {
    std::string row = "<tr>";
    for (const std::string& cell : cells) row += begin + escaped_markup(cell) + end;
    return row + "</tr>\n";
}

std::string caption_of(const std::string& text) { return text.empty() ? "" : tagged("figcaption", text); }

std::string source_of(std::span<const uint8_t> png) { return "src=\"data:image/png;base64," + base64(png) + "\""; }

}  // namespace

std::string base64(std::span<const uint8_t> bytes) {
    constexpr const char* letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const auto byte = [&](size_t at) { return at < bytes.size() ? uint32_t{bytes[at]} : 0u; };
        const uint32_t three = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
        for (size_t k = 0; k < 4; ++k) text += i + k > bytes.size() ? '=' : letters[three >> (18 - 6 * k) & 63];
    }
    return text;
}

HtmlPage::HtmlPage(std::string title, std::string lead) : title_(std::move(title)), lead_(std::move(lead)) {}

void HtmlPage::heading(const std::string& text) {
    headings_.push_back(text);
    body_ += fmt::format("<h2 id=\"s{}\">{}</h2>\n", headings_.size(), escaped_markup(text));
}

void HtmlPage::part(const std::string& title, const std::string& lead) {
    headings_.push_back(title);
    embedded_.clear();  // another run's files of the same names
    has_parts_ = true;
    body_ += fmt::format("<h2 class=\"part\" id=\"s{}\">{}</h2>\n", headings_.size(), escaped_markup(title));
    if (!lead.empty()) body_ += fmt::format("<p class=\"lead\">{}</p>\n", escaped_markup(lead));
}

void HtmlPage::subheading(const std::string& text) { body_ += tagged("h3", text); }

void HtmlPage::paragraph(const std::string& text) { body_ += tagged("p", text); }

void HtmlPage::notice(Notice kind, const std::string& text) {
    body_ += fmt::format("<p class=\"notice {}\">{}</p>\n", kind == Notice::good ? "good" : "bad", escaped_markup(text));
}

void HtmlPage::list(const std::vector<std::string>& points) {
    body_ += "<ul>\n";
    for (const std::string& point : points) body_ += tagged("li", point);
    body_ += "</ul>\n";
}

void HtmlPage::facts(const std::vector<std::pair<std::string, std::string>>& name_and_text) {
    body_ += "<dl>\n";
    for (const auto& [name, text] : name_and_text) body_ += tagged("dt", name) + tagged("dd", text);
    body_ += "</dl>\n";
}

void HtmlPage::table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                     const std::string& caption, Columns columns) {
    const std::string named = escaped_markup(caption);
    if (!caption.empty()) body_ += fmt::format("<p class=\"caption\">{}</p>\n", named);
    body_ += fmt::format("<div class=\"wide\"><table{}{}>\n", columns == Columns::numbers ? " class=\"numbers\"" : "",
                         caption.empty() ? "" : fmt::format(" aria-label=\"{}\"", named));
    body_ += "<thead>" + row_of(header, "<th scope=\"col\">", "</th>") + "</thead>\n<tbody>\n";
    for (const auto& row : rows) body_ += row_of(row, "<td>", "</td>");
    body_ += "</tbody></table></div>\n";
}

void HtmlPage::download(const std::string& file, const std::string& text, bool beside) {
    const std::string name = escaped_markup(file);
    beside = beside && !has_parts_;
    std::vector<std::string> links;
    if (beside) links.push_back(fmt::format("<a href=\"{0}\">{0}</a>", name));
    if (std::find(embedded_.begin(), embedded_.end(), file) == embedded_.end()) {
        embedded_.push_back(file);
        const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
        links.push_back(fmt::format("<a download=\"{}\" href=\"data:text/csv;base64,{}\">{}</a>", name, base64(bytes),
                                    beside ? "also inside this page" : name));
    }
    if (links.empty()) return;
    body_ += "<p class=\"file\">CSV: " + fmt::format("{}", fmt::join(links, ", ")) + "</p>\n";
}

void HtmlPage::link(const std::string& file, const std::string& text, const std::string& rest) {
    if (has_parts_) return paragraph(fmt::format("{} ({}){}", text, file, rest));
    body_ +=
        fmt::format("<p><a href=\"{}\">{}</a>{}</p>\n", escaped_markup(file), escaped_markup(text), escaped_markup(rest));
}

void HtmlPage::code(const std::string& text) { body_ += tagged("pre", text); }

void HtmlPage::begin_folded(const std::string& summary) { body_ += "<details>" + tagged("summary", summary); }

void HtmlPage::end_folded() { body_ += "</details>\n"; }

void HtmlPage::svg(const std::string& picture, const std::string& caption) {
    body_ += "<figure>\n" + picture + caption_of(caption) + "</figure>\n";
}

void HtmlPage::svgs_in_columns(const std::vector<std::string>& pictures) {
    body_ += "<div class=\"columns\">\n";
    for (const std::string& picture : pictures) svg(picture);
    body_ += "</div>\n";
}

void HtmlPage::png(std::span<const uint8_t> file, const std::string& caption, int width) {
    const std::string size = width > 0 ? fmt::format(" style=\"width:{}px\"", width) : "";
    body_ +=
        fmt::format("<figure>\n<img class=\"single\" alt=\"{}\"{} {}>\n", escaped_markup(caption), size, source_of(file)) +
        caption_of(caption) + "</figure>\n";
}

void HtmlPage::gallery(const std::vector<HtmlPicture>& pictures) {
    body_ += "<div class=\"gallery\">\n";
    for (const HtmlPicture& picture : pictures) {
        body_ += "<figure><div class=\"row\">";
        for (size_t i = 0; i < picture.png.size(); ++i)
            body_ += fmt::format("<img alt=\"{}\" {}>", i == 0 ? escaped_markup(picture.alternative) : "",
                                 source_of(picture.png[i]));
        body_ += "</div><figcaption>";
        for (size_t i = 0; i < picture.caption.size(); ++i)
            body_ += (i > 0 ? "<br>" : "") + escaped_markup(picture.caption[i]);
        body_ += "</figcaption></figure>\n";
    }
    body_ += "</div>\n";
}

std::string HtmlPage::text() const {
    std::string contents;
    for (size_t i = 0; i < headings_.size(); ++i)
        contents += fmt::format("<li><a href=\"#s{}\">{}</a></li>\n", i + 1, escaped_markup(headings_[i]));
    if (!contents.empty()) contents = "<nav aria-label=\"Contents\"><ul>\n" + contents + "</ul></nav>\n";
    const std::string lead = lead_.empty() ? "" : fmt::format("<p class=\"lead\">{}</p>\n", escaped_markup(lead_));
    return fmt::format(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, "
        "initial-scale=1\">\n<title>{0}</title>\n<style>\n{1}</style>\n"
        "</head>\n<body>\n<h1>{0}</h1>\n{2}{3}{4}</body>\n</html>\n",
        escaped_markup(title_), page_style, lead, contents, body_);
}

}  // namespace xbench
