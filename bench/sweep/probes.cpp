// Rows in their order, the runs of a chain in theirs.
#include "bench/sweep/probes.h"

#include <set>

#include "bench/efficiency/chain.h"

namespace xbench {

std::vector<Probe> probes_for(const Config& config, std::span<const Point> rows, int nodes) {
    std::vector<Probe> probes;
    if (!config.scaling.factors || nodes > 1) return probes;
    std::set<std::string> known;
    for (const Point& row : rows) {
        const Chain chain = chain_of(config, rows, row);
        if (!chain.why_not.empty()) continue;
        for (const ChainRun* run : chain.runs())
            if (run->is_probe && known.insert(run->id).second)
                probes.push_back({run->id, run->row, run->point, run->copies, run->settings});
    }
    return probes;
}

}  // namespace xbench
