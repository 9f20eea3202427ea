// What pages of every kind of run have in common: tables with their files, where it was measured, how to run it again.
#pragma once

#include <string>
#include <vector>

#include "bench/draw/html_page.h"
#include "bench/sweep/scaling_model.h"
#include "core/json.h"

namespace xbench {

// Without the marks of bold and code.
std::string plain_text(const std::string& marked);
std::vector<std::string> plain_texts(const std::vector<std::string>& marked);

// The table and, where csv is given, links to its file and to the bytes inside the page.
void add_table(HtmlPage& page, const ModelTable& table, const std::string& csv = "", const std::string& caption = "");

void add_environment(HtmlPage& page, const std::string& run, const Json& environment,
                     const std::vector<std::pair<std::string, std::string>>& more = {});
void add_command(HtmlPage& page, const Json& environment, const std::string& again);

}  // namespace xbench
