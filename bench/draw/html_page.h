// A page of HTML that needs nothing else: one file, light and dark by the viewer's choice, readable on a phone, no scripts
// and no network. Text is escaped; the same calls give the same bytes. For model cards and looks at data sets.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace xbench {

class HtmlPage {
public:
    // The heading of the page, and a sentence below it ("": none).
    explicit HtmlPage(std::string title, const std::string& lead = "");

    void heading(const std::string& text);  // of a section
    void paragraph(const std::string& text);
    enum class Notice { good, bad };
    void notice(Notice kind, const std::string& text);  // a paragraph that nobody overlooks
    void list(const std::vector<std::string>& points);
    // The first column is text, the others are numbers. Wide tables scroll by themselves.
    void table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
               const std::string& caption = "");
    void svg(const std::string& picture, const std::string& caption = "");  // as line_chart_svg makes it
    // The bytes of a PNG file, inline, at most `width` CSS pixels wide (0: its own).
    void png(std::span<const uint8_t> file, const std::string& caption = "", int width = 0);

    std::string text() const;  // the whole file

private:
    std::string title_, body_;
};

std::string base64(std::span<const uint8_t> bytes);

}  // namespace xbench
