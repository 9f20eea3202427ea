// A page of HTML that needs nothing else: one file, light and dark by the viewer's choice, readable on a phone, no scripts
// and no network. Text is escaped; the same calls give the same bytes. For reports, model cards and looks at data sets.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace xbench {

struct HtmlPicture {
    std::vector<std::vector<uint8_t>> png;  // the bytes of files, side by side
    std::string alternative;                // for those who cannot see them
    std::vector<std::string> caption;       // lines
};

class HtmlPage {
public:
    // The heading of the page, and a sentence below it ("": none).
    explicit HtmlPage(std::string title, std::string lead = "");

    // A run of several on one page: a heading above its sections.
    void part(const std::string& title, const std::string& lead = "");
    void heading(const std::string& text);  // of a section; the page begins with a list of them
    void subheading(const std::string& text);
    void paragraph(const std::string& text);
    enum class Notice { good, bad };
    void notice(Notice kind, const std::string& text);  // a paragraph that nobody overlooks
    void list(const std::vector<std::string>& points);
    void facts(const std::vector<std::pair<std::string, std::string>>& name_and_text);  // one below the other
    // The first column is text, the others are numbers, or text. Wide tables scroll by themselves.
    enum class Columns { numbers, text };
    void table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
               const std::string& caption = "", Columns columns = Columns::numbers);
    // Below a table: a link to the bytes of its file inside the page, and to the file beside the page, where there is one.
    // One file is embedded once.
    void download(const std::string& file, const std::string& text, bool beside = true);
    // A paragraph: a link to a file beside the page, and what follows it. Of a page with parts the text alone.
    void link(const std::string& file, const std::string& text, const std::string& rest = "");
    void code(const std::string& text);  // a command, as it is typed
    // What few readers need, folded away by the browser; its parts are those added until end_folded().
    void begin_folded(const std::string& summary);
    void end_folded();
    void svg(const std::string& picture, const std::string& caption = "");  // as line_chart_svg makes it
    void svgs_in_columns(const std::vector<std::string>& pictures);         // side by side where there is room
    // The bytes of a PNG file, inline, at most `width` CSS pixels wide (0: its own).
    void png(std::span<const uint8_t> file, const std::string& caption = "", int width = 0);
    void gallery(const std::vector<HtmlPicture>& pictures);

    std::string text() const;  // the whole file

private:
    std::string title_, lead_, body_;
    std::vector<std::string> headings_, embedded_;
    bool has_parts_ = false;  // then no file lies beside the page
};

std::string base64(std::span<const uint8_t> bytes);

}  // namespace xbench
