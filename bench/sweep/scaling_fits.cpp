// Collects the points of each family and has them fitted. Times are those of equal work; under weak scaling of work that
// grows with the cores.
#include "bench/sweep/scaling_fits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "bench/base/measure.h"
#include "bench/sweep/scaling_table.h"

namespace xbench {
namespace {

// Of a step, what the slowest rank computes: all but its own wait for communication, the shortest of the ranks. 0 where a
// row of several ranks does not say how long that is.
double computing_share(const ScalingRow& row) {
    if (row.step_ms.median <= 0) return 0;
    if (row.point.ranks == 1) return 1;
    const double waited = row.exposed_comm_ms - row.rank_skew_ms;
    return row.exposed_comm_ms > 0 && waited >= 0 && waited < row.step_ms.median ? 1 - waited / row.step_ms.median : 0;
}

TimedPoint timed_point(const ScalingRow& row, double cores, bool weak) {
    TimedPoint point{cores, {}, 0};
    for (const double rate : row.rates)
        if (rate > 0) point.seconds.push_back((weak ? cores : 1) / rate);
    point.compute_seconds = computing_share(row) * median(point.seconds);
    return point;
}

// Of rows with as many cores the fastest, behind the baseline.
std::vector<TimedPoint> timed_points(const ScalingRow& baseline, std::vector<const ScalingRow*> rows, bool weak) {
    std::sort(rows.begin(), rows.end(), [](const ScalingRow* a, const ScalingRow* b) {
        return a->relative_cores != b->relative_cores ? a->relative_cores < b->relative_cores : *a->speedup > *b->speedup;
    });
    std::vector<TimedPoint> points{timed_point(baseline, 1, weak)};
    for (const ScalingRow* row : rows)
        if (row->relative_cores > points.back().cores) points.push_back(timed_point(*row, row->relative_cores, weak));
    return points;
}

TrainerFit fit_family(const std::string& family, const ScalingRow& baseline, const std::vector<const ScalingRow*>& rows,
                      bool weak) {
    TrainerFit fit;
    fit.trainer = family;
    std::vector<ScalingPoint> curve;
    for (const ScalingRow* row : rows)
        curve.push_back({row->relative_cores, *row->speedup, std::hypot(row->rate_error, baseline.rate_error)});
    fit.curve = curve_of(curve);
    if (!weak) fit.trend = karp_flatt_trend(fit.curve);
    const std::vector<TimedPoint> points = timed_points(baseline, rows, weak);
    fit.core_counts = static_cast<int>(points.size());
    fit.laws = fit_laws(points, weak);
    fit.furthest = furthest_cores(points);
    return fit;
}

}  // namespace

std::string family_of(const ScalingRow& row) {
    return row.point.trainer + (row.point.device == "cuda" ? " (cuda)" : "") +
           (row.point.stage > 0 ? fmt::format(" stage {}", row.point.stage) : "");
}

std::vector<TrainerFit> fit_families(const ScalingTable& table) {
    std::vector<TrainerFit> fits;
    if (table.baseline < 0) return fits;
    std::vector<std::string> order;
    std::map<std::string, std::vector<const ScalingRow*>> families;
    for (const ScalingRow& row : table.rows) {
        if (!row.speedup || row.point.status != PointStatus::ok || row.relative_cores <= 1) continue;
        const std::string family = family_of(row);
        if (families.count(family) == 0) order.push_back(family);
        families[family].push_back(&row);
    }
    for (const std::string& family : order) {
        const int own = baseline_of(table, families[family].front()->point.device);
        fits.push_back(fit_family(family, table.rows[static_cast<size_t>(own)], families[family], table.mode == "weak"));
    }
    return fits;
}

}  // namespace xbench
