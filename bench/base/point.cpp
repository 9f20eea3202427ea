// Names of points and of what became of them.
#include "bench/base/point.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/error.h"

namespace xbench {
namespace {

constexpr std::array status_names{"ok", "oversubscribed", "not_run", "failed"};

}  // namespace

const char* name_of(PointStatus status) { return status_names[static_cast<size_t>(status)]; }

PointStatus status_from(const std::string& name) {
    const auto found = std::find(status_names.begin(), status_names.end(), name);
    if (found == status_names.end()) throw Error("unknown status \"" + name + "\"", "record");
    return static_cast<PointStatus>(found - status_names.begin());
}

std::string Point::id() const {
    std::string text = fmt::format("{}-r{}-t{}", trainer, ranks, threads);
    if (device == "cuda") text += "-cuda";
    if (stage > 0) text += fmt::format("-s{}", stage);
    return text;
}

}  // namespace xbench
