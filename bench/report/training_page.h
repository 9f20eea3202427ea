// report.html of one training: its scores and how sure they are, its curves, its time, its memory, and where it was
// measured. A training that has not ended has a page of what there is.
#pragma once

#include <string>

#include "bench/report/training_files.h"

namespace xbench {

class HtmlPage;

std::string training_page(const TrainingFiles& training);
void add_training(HtmlPage& page, const TrainingFiles& training);
// "rsna_cnn by cpu_ddp on 2 x 1 cores, 8 epochs: test accuracy 0.9465 (0.9297 to 0.9595 by the draw of 879 images) ..."
std::string training_verdict(const TrainingFiles& training);

}  // namespace xbench
