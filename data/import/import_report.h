// What an import says about its work: notes and warnings in plain words, the list of the quarantine, and the account of
// every file below the source as JSON (`xbench.import/1`).
#pragma once

#include <string>

#include "data/import/decode_items.h"
#include "data/import/import.h"

namespace xbench {

// Adds what the counts of the report give reason to say.
void add_remarks(ImportReport& report, const ImportOptions& options, const DecodedItems& items);

std::string quarantine_csv(const ImportReport& report);
std::string account_json(const ImportReport& report, const ImportOptions& options);

}  // namespace xbench
