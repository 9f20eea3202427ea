// A report as one HTML file that needs nothing else: its style, drawings and pictures are inside, there is no script, and no
// network is asked. Light or dark by the reader's choice; readable on a telephone, where wide tables scroll alone. Parts
// are appended from top to bottom; all text is escaped. The same calls give the same bytes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xbench {

struct HtmlTable {
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;  // each as long as the header
    std::string caption = {};
    bool numbers = true;  // the first column is text, the others are set to the right
};

struct HtmlPicture {
    std::vector<std::string> png;  // the bytes of files, side by side
    std::string alternative;       // for those who cannot see them
    std::vector<std::string> caption;
};

class HtmlPage {
public:
    HtmlPage(std::string title, std::string subtitle);

    void section(const std::string& heading);  // appears in the list of contents
    void heading(const std::string& text);     // inside a section
    void paragraph(const std::string& text);
    void warning(const std::string& text);                                              // in a box
    void list(const std::vector<std::string>& items);                                   // with dots
    void facts(const std::vector<std::pair<std::string, std::string>>& name_and_text);  // one below the other
    void table(const HtmlTable& table);
    void drawing(const std::string& svg, const std::string& caption = {});  // as line_chart.h makes them; not escaped
    void begin_columns();  // drawings up to end_columns() stand side by side where there is room
    void end_columns();
    void pictures(const std::vector<HtmlPicture>& pictures);

    std::string text() const;

private:
    std::string title_, subtitle_, body_;
    std::vector<std::string> sections_;
};

std::string base64(std::string_view bytes);

}  // namespace xbench
