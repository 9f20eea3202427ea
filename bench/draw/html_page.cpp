// Strings put together; one style sheet for all pages.
#include "bench/draw/html_page.h"

#include <fmt/core.h>
#include <utility>

#include "bench/draw/line_chart.h"

namespace xbench {
namespace {

constexpr const char* page_style =
    ":root{color-scheme:light dark;--ink:#1a1a1a;--paper:#fff;--soft:#555;--line:#d8d8d8;--shade:#f4f4f4;--good:#0a6b3d;"
    "--bad:#a3320b}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--paper:#161616;--soft:#aaa;--line:#3a3a3a;--shade:#222;"
    "--good:#58c08d;--bad:#ff9a70}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:0 auto;"
    "padding:1rem}\n"
    "h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}\n"
    ".lead,figcaption,caption{color:var(--soft)}caption{text-align:left;font-size:.9rem}figure{margin:1rem 0}\n"
    "figcaption{font-size:.9rem}figure svg,figure img{max-width:100%;height:auto}figure img{image-rendering:pixelated}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.5rem 0}\n"
    "th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid var(--line)}th{background:var(--shade)}\n"
    "th:first-child,td:first-child{text-align:left}.notice{border-left:4px solid;padding:.4rem .8rem;"
    "background:var(--shade)}\n"
    ".good{border-color:var(--good)}.bad{border-color:var(--bad)}\n";

std::string row_of(const std::vector<std::string>& cells, const char* tag) {
    std::string row = "<tr>";
    for (const std::string& cell : cells) row += fmt::format("<{0}>{1}</{0}>", tag, escaped_markup(cell));
    return row + "</tr>\n";
}

std::string caption_of(const std::string& text, const char* tag) {
    return text.empty() ? "" : fmt::format("<{0}>{1}</{0}>\n", tag, escaped_markup(text));
}

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

HtmlPage::HtmlPage(std::string title, const std::string& lead) : title_(std::move(title)) {
    body_ = fmt::format("<h1>{}</h1>\n", escaped_markup(title_));
    if (!lead.empty()) body_ += fmt::format("<p class=\"lead\">{}</p>\n", escaped_markup(lead));
}

void HtmlPage::heading(const std::string& text) { body_ += fmt::format("<h2>{}</h2>\n", escaped_markup(text)); }

void HtmlPage::paragraph(const std::string& text) { body_ += fmt::format("<p>{}</p>\n", escaped_markup(text)); }

void HtmlPage::notice(Notice kind, const std::string& text) {
    body_ += fmt::format("<p class=\"notice {}\">{}</p>\n", kind == Notice::good ? "good" : "bad", escaped_markup(text));
}

void HtmlPage::list(const std::vector<std::string>& points) {
    body_ += "<ul>\n";
    for (const std::string& point : points) body_ += fmt::format("<li>{}</li>\n", escaped_markup(point));
    body_ += "</ul>\n";
}

void HtmlPage::table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                     const std::string& caption) {
    body_ += "<div class=\"wide\"><table>\n" + caption_of(caption, "caption") + "<thead>" + row_of(header, "th") +
             "</thead>\n<tbody>\n";
    for (const auto& row : rows) body_ += row_of(row, "td");
    body_ += "</tbody></table></div>\n";
}

void HtmlPage::svg(const std::string& picture, const std::string& caption) {
    body_ += "<figure>\n" + picture + caption_of(caption, "figcaption") + "</figure>\n";
}

void HtmlPage::png(std::span<const uint8_t> file, const std::string& caption, int width) {
    const std::string size = width > 0 ? fmt::format(" style=\"width:{}px\"", width) : "";
    body_ += fmt::format("<figure>\n<img alt=\"{}\"{} src=\"data:image/png;base64,{}\">\n", escaped_markup(caption), size,
                         base64(file)) +
             caption_of(caption, "figcaption") + "</figure>\n";
}

std::string HtmlPage::text() const {
    return fmt::format(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{}</style>\n"
        "</head>\n<body>\n{}</body>\n</html>\n",
        escaped_markup(title_), page_style, body_);
}

}  // namespace xbench
