// Checks 1 to 9: times, speed-ups, efficiencies, and the work behind them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "bench/audit/digit_checks.h"
#include "bench/laws/karp_flatt.h"

namespace xbench::audit {
namespace {

struct Measured {
    const Row* row;
    double processors;
    Range speedup;  // to the nearest
    double value;
};

// Rows with processors and a speed-up, of the base's device, above the base's processors, in rising order.
std::vector<Measured> curve_rows(const Work& work, const Basis& basis) {
    std::vector<Measured> rows;
    if (basis.base < 0) return rows;
    const Row& base = work.group.rows[static_cast<size_t>(basis.base)];
    const double unit = std::max(1.0, work.table.processors(base));
    for (const Row& row : work.group.rows) {
        const auto speedup = speedup_range(work.table, work.group, basis, row);
        const double n = work.table.processors(row) / unit;
        if (&row != &base && speedup && n > 1 && row.device == base.device)
            rows.push_back({&row, n, *speedup, *speedup_value(work.table, work.group, basis, row)});
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [](const Measured& a, const Measured& b) { return a.processors < b.processors; });
    return rows;
}

// Printed S/E where E is not S/N: what the efficiency was divided by instead.
void hidden_denominator(const Work& work, const Row& row) {
    if (!row.has(Role::speedup) || !row.has(Role::efficiency) || work.table.processors(row) <= 0) return;
    const auto divided = [&](Rounding rounding) {
        return product(work.table.cell(row, Role::speedup).range(rounding),
                       power(work.table.cell(row, Role::efficiency).range(rounding), -1));
    };
    if (meet(divided(Rounding::any), exactly(work.table.processors(row)))) return;
    const Range used = divided(Rounding::nearest);
    const double whole = std::round((used.low + used.high) / 2);
    const std::string by =
        used.holds(whole) ? fmt::format("the efficiency was divided by {:g}, not by {:g}", whole, work.table.processors(row))
                          : "no whole number of processors";
    work.remark(3, row.name, fmt::format("printed S/E = {:.2f} to {:.2f}: {}", used.low, used.high, by));
}

void karp_flatt_and_amdahl(const Work& work, const std::vector<Measured>& rows) {
    if (rows.empty()) return;
    std::vector<ScalingPoint> points;
    std::vector<std::string> fractions;
    for (const Measured& row : rows) points.push_back({row.processors, row.value, 0});
    const std::vector<ScalingPoint> curve = curve_of(points);
    for (const ScalingPoint& p : curve)
        fractions.push_back(fmt::format("{:.3f} at {:g}", karp_flatt(p.speedup, p.processors).value_or(0), p.processors));
    const Trend trend = karp_flatt_trend(curve);
    work.remark(4, "",
                fmt::format("Karp-Flatt {}{}", fmt::join(fractions, ", "),
                            trend == Trend::none ? "" : fmt::format(": {}", meaning_of(trend))));
    const double serial = karp_flatt(curve.front().speedup, curve.front().processors).value_or(0);
    for (size_t i = 1; i < curve.size(); ++i) {
        const double predicted = 1 / (serial + (1 - serial) / curve[i].processors);
        if (serial > 0 && std::abs(predicted / curve[i].speedup - 1) > 0.1)
            work.remark(4, "",
                        fmt::format("not Amdahl: the point at {:g} predicts {:.2f}x at {:g}, measured {:.2f}x",
                                    curve.front().processors, predicted, curve[i].processors, curve[i].speedup));
    }
}

// What the times give where the table prints no speed-up.
void unprinted_speedups(const Work& work, const std::vector<Measured>& rows) {
    for (const Measured& row : rows)
        if (!row.row->has(Role::speedup))
            work.remark(1, row.row->name,
                        fmt::format("speed-up {:.3f}, efficiency {:.3f}", row.value, row.value / row.processors),
                        Level::consistent);
}

void more_than_linear(const Work& work, const Basis& basis) {
    const double unit =
        basis.base >= 0 ? std::max(1.0, work.table.processors(work.group.rows[static_cast<size_t>(basis.base)])) : 1;
    for (const Row& row : work.group.rows) {
        const double n = work.table.processors(row) / unit;
        const auto nearest = speedup_range(work.table, work.group, basis, row),
                   widest = speedup_range(work.table, work.group, basis, row, Rounding::any);
        if (!nearest || n <= 1 || *speedup_value(work.table, work.group, basis, row) <= n * (1 + 1e-9)) continue;
        if (widened(*widest).low > n)
            work.remark(
                5, row.name,
                fmt::format("{} times on {:g}: more than linear beyond rounding; larger caches in all, or a slow base?",
                            range_text(*nearest), n));
        else
            work.remark(5, row.name,
                        fmt::format("more than linear as printed, but {:.3f} to {:.3f} with rounding: nothing is wrong",
                                    nearest->low, nearest->high),
                        Level::consistent);
    }
}

void claims_of_faster(const Work& work, const Basis& basis) {
    for (const Row& row : work.group.rows) {
        const auto speedup = speedup_range(work.table, work.group, basis, row, Rounding::any);
        if (!speedup || !row.has(Role::faster)) continue;
        const Range claim = work.table.cell(row, Role::faster).range(Rounding::any), faster = sum(*speedup, exactly(-1)),
                    less_time = sum(exactly(1), scaled(power(*speedup, -1), -1));
        if (meet(claim, faster)) continue;
        const double value = *speedup_value(work.table, work.group, basis, row);
        work.remark(6, row.name,
                    fmt::format("{} faster is claimed; {:.1f}% faster is what {:.3f}x means{}",
                                work.table.cell(row, Role::faster).printed.text, 100 * (value - 1), value,
                                meet(claim, less_time) ? ", the claim is the share of time saved" : ""));
    }
}

void slower_with_more(const Work& work, const std::vector<Measured>& rows) {
    for (size_t i = 1; i < rows.size(); ++i)
        if (rows[i].processors > rows[i - 1].processors && rows[i].speedup.high < rows[i - 1].speedup.low)
            work.remark(6, rows[i].row->name,
                        fmt::format("{:g} processors are slower than {:g}: {:.2f}x against {:.2f}x", rows[i].processors,
                                    rows[i - 1].processors, rows[i].value, rows[i - 1].value));
}

void about_the_base(const Work& work, const Basis& basis) {
    if (!basis.known || !(work.group.has(Role::speedup) || work.group.has(Role::efficiency) || work.group.rows.size() > 1))
        return;
    if (basis.base < 0) return work.remark(7, "", "the row that speed-ups are against is not in the table");
    const Row& base = work.group.rows[static_cast<size_t>(basis.base)];
    const double n = work.table.processors(base);
    work.remark(7, base.name,
                fmt::format("the base of the speed-ups{}{}", n > 1 ? fmt::format(", itself on {:g} processors", n) : "",
                            basis.measure == Role::rate ? ", by rates" : ""),
                Level::consistent);
    std::vector<std::string> others;
    for (const Row& row : work.group.rows)
        if (row.device != base.device) others.push_back(fmt::format("{} ({})", row.name, row.device));
    if (!others.empty())
        work.remark(7, base.name,
                    fmt::format("base on {}, and speed-ups of {}: other hardware, no scaling", base.device,
                                fmt::join(others, ", ")));
}

// Images an epoch of a row, where its columns say it.
double images_an_epoch(const Work& work, const Row& row) {
    if (row.has(Role::images_per_epoch)) return work.table.value(row, Role::images_per_epoch);
    if (row.has(Role::steps_per_epoch) && row.has(Role::batch))
        return work.table.value(row, Role::steps_per_epoch) * work.table.value(row, Role::batch);
    return 0;
}

void equal_work(const Work& work, const Basis& basis) {
    if (basis.base < 0) return;
    const Row& base = work.group.rows[static_cast<size_t>(basis.base)];
    for (const Row& row : work.group.rows) {
        if (&row == &base || row.mode == "weak") continue;
        std::vector<std::string> differences;
        for (const auto& [role, word] :
             {std::pair{Role::epochs, "epochs"}, {Role::images, "images"}, {Role::steps, "steps"}})
            if (row.has(role) && base.has(role) &&
                std::abs(work.table.value(row, role) / work.table.value(base, role) - 1) > 0.005)
                differences.push_back(fmt::format("{} {} where {} has {}", work.table.cell(row, role).printed.text, word,
                                                  base.name, work.table.cell(base, role).printed.text));
        if (row.has(Role::accuracy) && row.evaluated_on != base.evaluated_on)
            differences.push_back(
                fmt::format("accuracy on \"{}\" where {} has \"{}\"", row.evaluated_on, base.name, base.evaluated_on));
        if (!differences.empty())
            work.remark(
                8, row.name,
                fmt::format("other work, so no speed-up may stand beside its accuracy: {}", fmt::join(differences, "; ")));
        const double own = images_an_epoch(work, row), others = images_an_epoch(work, base);
        if (own > 0 && others > 0 && std::abs(own / others - 1) > 0.01)
            work.remark(
                8, row.name,
                fmt::format("{:g} images an epoch if the batch is the global one, where {} sees {:g}: {:.0f}% of the work",
                            own, base.name, others, 100 * own / others));
    }
}

void images_by_rate(const Work& work) {
    for (const Row& row : work.group.rows) {
        if (!row.has(Role::rate) || !row.has(Role::seconds) || !row.has(Role::images)) continue;
        if (work.table.cell(row, Role::seconds).column.find("step") != std::string::npos) continue;  // of one step
        const Range seen = product(work.table.cell(row, Role::rate).range(Rounding::any),
                                   work.table.cell(row, Role::seconds).range(Rounding::any));
        if (!meet(seen, work.table.cell(row, Role::images).range(Rounding::any)))
            work.remark(
                8, row.name,
                fmt::format(
                    "images/s x seconds = {} images, the table says {}: the rate and the seconds are of different things",
                    range_text(seen), work.table.cell(row, Role::images).printed.text));
    }
}

void weak_called_strong(const Work& work, const Basis& basis) {
    if (basis.base < 0 || basis.weak || basis.measure != Role::seconds) return;
    const Row& base = work.group.rows[static_cast<size_t>(basis.base)];
    bool constant = true;
    double most = 0;
    for (const Row& row : work.group.rows) {
        if (!row.has(Role::seconds)) continue;
        const double ratio = work.table.value(row, Role::seconds) / work.table.value(base, Role::seconds);
        constant = constant && ratio > 0.85 && ratio < 1.3;
        most = std::max(most, work.table.processors(row) / std::max(1.0, work.table.processors(base)));
    }
    if (constant && most >= 4)
        work.remark(
            9, "",
            fmt::format("the seconds stay the same up to {:g} times the processors: weak scaling, or nothing was gained",
                        most));
}

// Tables of two kinds of hardware may have a base for each: then they are tables of their own.
std::vector<Group> split_by_device(const Table& table, const Group& group) {
    std::vector<Group> parts;
    for (const Row& row : group.rows) {
        auto part =
            std::find_if(parts.begin(), parts.end(), [&](const Group& g) { return g.rows.front().device == row.device; });
        if (part == parts.end()) {
            parts.push_back({group.name, {}, group.predicted});
            part = parts.end() - 1;
        }
        part->rows.push_back(row);
    }
    const auto has_base = [&](const Group& part) {
        const bool compared = part.has(Role::speedup) || part.has(Role::efficiency);
        return !compared ||
               std::any_of(part.rows.begin(), part.rows.end(), [&](const Row& row) { return is_surely_base(table, row); });
    };
    if (parts.size() < 2 || !std::all_of(parts.begin(), parts.end(), has_base)) return {group};
    return parts;
}

void check_part(const Work& work) {
    const bool has_times = work.group.has(Role::seconds) || work.group.has(Role::rate);
    if (!has_times && !work.group.has(Role::speedup) && !work.group.has(Role::efficiency)) return;
    const Basis basis = find_basis(work.table, work.group);
    std::vector<Relation> relations = scaling_relations(work.table, work.group, basis);
    work.relations.insert(work.relations.end(), relations.begin(), relations.end());
    for (const Row& row : work.group.rows) hidden_denominator(work, row);
    const std::vector<Measured> rows = curve_rows(work, basis);
    unprinted_speedups(work, rows);
    karp_flatt_and_amdahl(work, rows);
    more_than_linear(work, basis);
    claims_of_faster(work, basis);
    slower_with_more(work, rows);
    about_the_base(work, basis);
    equal_work(work, basis);
    images_by_rate(work);
    weak_called_strong(work, basis);
    check_digits(work, basis);
}

}  // namespace

void check_scaling(const Work& work) {
    for (const Group& part : split_by_device(work.table, work.group))
        check_part({work.table, part, work.relations, work.findings});
}

}  // namespace xbench::audit
