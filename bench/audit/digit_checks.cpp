// What printed digits say of how they came about.
#include "bench/audit/digit_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace xbench::audit {
namespace {

std::vector<const Cell*> measured_cells(const Work& work) {
    std::vector<const Cell*> cells;
    for (const Row& row : work.group.rows)
        for (const Role role : {Role::seconds, Role::rate})
            if (row.has(role)) cells.push_back(&work.table.cell(row, role));
    return cells;
}

// Of 20 numbers and more; 27.9 is chi-squared's bound of 0.1% for nine degrees of freedom.
void last_digits(const Work& work, const std::vector<const Cell*>& cells) {
    if (cells.size() < 20) return;
    double counts[10] = {}, chi_squared = 0;
    for (const Cell* cell : cells) {
        const std::string& text = cell->printed.text;
        const size_t last = text.find_last_of("0123456789");
        counts[text[last] - '0'] += 1;
    }
    const double each = static_cast<double>(cells.size()) / 10;
    for (const double count : counts) chi_squared += (count - each) * (count - each) / each;
    if (chi_squared > 27.9)
        work.remark(
            10, "",
            fmt::format("last digits are not spread evenly over {} measured numbers (chi-squared {:.0f}): rounded by hand?",
                        cells.size(), chi_squared));
}

void copied_digits(const Work& work) {
    const std::vector<const Cell*> cells = measured_cells(work);
    std::set<std::string> seen;
    for (const Cell* cell : cells) {
        const auto digits =
            std::count_if(cell->printed.text.begin(), cell->printed.text.end(), [](char c) { return c >= '0' && c <= '9'; });
        if (digits >= 4 && !seen.insert(cell->column + "=" + cell->printed.text).second)
            work.remark(10, "", fmt::format("{} {} stands in more than one row", cell->column, cell->printed.text));
    }
    std::vector<double> seconds;
    for (const Row& row : work.group.rows)
        if (row.has(Role::seconds)) seconds.push_back(work.table.value(row, Role::seconds));
    bool even_steps = seconds.size() >= 5;
    for (size_t i = 2; i < seconds.size(); ++i)
        even_steps = even_steps &&
                     std::abs(seconds[i] - 2 * seconds[i - 1] + seconds[i - 2]) < 1e-9 * std::abs(seconds[i]) &&
                     seconds[i] != seconds[i - 1];
    if (even_steps) work.remark(10, "", "the seconds are an arithmetic progression");
    last_digits(work, cells);
}

void repeats_and_digits(const Work& work, const Basis& basis) {
    if (!basis.known) return;
    if (!work.group.has(Role::repeats) && !work.group.has(Role::spread))
        work.remark(11, "", "neither the number of runs nor their spread is given");
    for (const Row& row : work.group.rows) {
        if (row.has(Role::repeats) && work.table.value(row, Role::repeats) < 2)
            work.remark(11, row.name, "one run: no interval");
        if (row.has(Role::spread) && row.has(Role::seconds) &&
            work.table.value(row, Role::spread) < work.table.cell(row, Role::seconds).printed.unit)
            work.remark(11, row.name, "the spread is smaller than the last digit of the seconds");
        if (!row.has(Role::speedup) || !row.has(Role::seconds) || basis.measure != Role::seconds) continue;
        const Cell &speedup = work.table.cell(row, Role::speedup), &seconds = work.table.cell(row, Role::seconds);
        if (seconds.printed.unit / seconds.printed.value > 1.5 * speedup.printed.unit / speedup.printed.value)
            work.remark(12, row.name,
                        fmt::format("the speed-up {} has more digits than seconds of {} can give", speedup.printed.text,
                                    seconds.printed.text));
    }
}

}  // namespace

void check_digits(const Work& work, const Basis& basis) {
    copied_digits(work);
    repeats_and_digits(work, basis);
}

}  // namespace xbench::audit
