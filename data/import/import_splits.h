// The splits of the imported images: as the source has them, or drawn by group.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/import/decode_items.h"

namespace xbench {

// Of each kept item. Says in `notes` what was decided.
std::vector<uint8_t> choose_splits(const ImportOptions& options, const ImportList& list, DecodedItems& items,
                                   std::vector<std::string>& notes);

}  // namespace xbench
