// report.html of a search over keys (`xbench tune`): the winner and how much choosing flatters it, what the score did over
// each searched key, and all trials. A search that has not ended has a page of the trials that have.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bench/tune/trial.h"

namespace xbench {

class HtmlPage;

struct SearchFiles {
    Json told = Json::object(), environment = Json::object();  // tune.json, env.json
    std::string name, score;                                   // of the configuration; what trials are compared by
    std::vector<TrialRecord> trials;                           // each after its last rung, best first
    std::string csv;                                           // trials.csv
    bool complete = false;
};

bool is_search(const std::filesystem::path& folder);
SearchFiles read_search(const std::filesystem::path& folder);

std::string search_page(const SearchFiles& search);
void add_search(HtmlPage& page, const SearchFiles& search);

}  // namespace xbench
