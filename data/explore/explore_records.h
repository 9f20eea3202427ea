// The parts of a look at a set that need no pixels: which classes go together, who is in it, what ought to be said.
#pragma once

#include "data/explore/explore.h"

namespace xbench {

// Whether the image is known to have the class.
bool has_class(const SetRecords& records, size_t image, size_t of_class);

// Fills in unknown, together, sizes, most_in_group, subgroups and samples.
void explore_records(const SetRecords& records, int samples_of_class, ExploreReport& report);
int64_t copies_labelled_otherwise(const SetRecords& records, const LeakReport& leaks);
// Of what is in the report by then.
void add_warnings(const SetRecords& records, ExploreReport& report);

}  // namespace xbench
