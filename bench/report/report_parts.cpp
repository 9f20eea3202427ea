// The parts' words.
#include "bench/report/report_parts.h"

#include "bench/base/text_table.h"
#include "bench/sweep/run_files.h"

namespace xbench {
namespace {

// As a shell would read it.
std::string quoted(const std::string& word) {
    const bool safe = !word.empty() && word.find_first_not_of(
                                           "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                           "_./=,:+-@%") == std::string::npos;
    if (safe) return word;
    std::string text = "'";
    for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
}

std::string words_of(const Json& environment) {
    std::string text;
    for (const Json& word : environment.value("command_line", Json::array()))
        if (word.is_string()) text += (text.empty() ? "" : " ") + quoted(word.get<std::string>());
    return text;
}

}  // namespace

std::string plain_text(const std::string& marked) {
    std::string result;
    for (const char c : marked)
        if (c != '*' && c != '`') result += c;
    return result;
}

std::vector<std::string> plain_texts(const std::vector<std::string>& marked) {
    std::vector<std::string> result;
    for (const std::string& text : marked) result.push_back(plain_text(text));
    return result;
}

void add_table(HtmlPage& page, const ModelTable& table, const std::string& csv, const std::string& caption) {
    if (table.rows.empty()) return;
    std::vector<std::string> header;
    for (const ModelColumn& column : table.columns) header.push_back(column.title);
    page.table(header, table.rows, caption);
    if (!table.csv.empty()) return page.download(table.csv, csv);
    if (table.own_csv.empty()) return;
    std::string cells = csv_line(header);
    for (const std::vector<std::string>& row : table.rows) cells += csv_line(row);
    page.download(table.own_csv, cells, false);
}

void add_environment(HtmlPage& page, const std::string& run, const Json& environment,
                     const std::vector<std::pair<std::string, std::string>>& more) {
    const Json build = environment.value("build", Json::object()), machine = environment.value("machine", Json::object());
    std::vector<std::pair<std::string, std::string>> facts{{"measured", environment.value("time_utc", "not recorded")},
                                                           {"machine", machine_line(environment)}};
    if (!run.empty()) facts.insert(facts.begin(), {"run", run});
    for (const char* key : {"version", "commit", "compiler", "flags"})
        if (build.contains(key) && build[key].is_string()) facts.emplace_back(key, build[key].get<std::string>());
    if (build.value("dirty", false)) facts.emplace_back("source", "changed since the commit");
    for (const char* key : {"host", "kernel"})
        if (machine.contains(key) && machine[key].is_string()) facts.emplace_back(key, machine[key].get<std::string>());
    for (const auto& fact : more)
        if (!fact.second.empty()) facts.push_back(fact);
    page.facts(facts);
}

void add_command(HtmlPage& page, const Json& environment, const std::string& again) {
    if (const std::string words = words_of(environment); !words.empty()) {
        page.paragraph("The command was:");
        page.code(words);
    }
    page.paragraph("With the same configuration, which lies beside this file:");
    page.code(again);
}

}  // namespace xbench
