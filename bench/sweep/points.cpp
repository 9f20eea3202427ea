// Expanding a configuration's rows, and judging each point by what is here.
#include "bench/sweep/points.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "bench/sweep/launch.h"
#include "core/error.h"
#include "core/hardware.h"
#include "kernels/cuda/devices.h"
#include "parallel/comm/setups.h"
#include "plan/plan.h"

namespace xbench {
namespace {

int number_from_environment(const char* name, int otherwise) {
    const char* value = std::getenv(name);
    const int number = value != nullptr ? std::atoi(value) : 0;
    return number > 0 ? number : otherwise;
}

// Why the GPUs here do not do for it, or "".
std::string lacks_gpus(const Point& point, const SweepLimits& limits) {
    if (point.device != "cuda") return "";
    if (!limits.gpu_reason.empty()) return limits.gpu_reason;
    const int on_node = (point.ranks + limits.nodes - 1) / limits.nodes;
    if (on_node <= limits.gpus) return "";
    return fmt::format("needs {} GPU{} a node, this one has {}", on_node, on_node == 1 ? "" : "s", limits.gpus);
}

// Why its ranks cannot be started here, or "".
std::string lacks_launcher(const Point& point, const SweepLimits& limits) {
    if (!needs_launcher(point) || (limits.local && meets_without_mpi(point))) return "";
    if (!limits.launcher_reason.empty()) return limits.launcher_reason;
    return limits.local && point.ranks > 1 ? "launcher local starts several ranks only where each has a GPU" : "";
}

// Why a point cannot run here; fills status and reason.
void judge(Point& point, const Config& config, const SweepLimits& limits) {
    const TrainerSetup& setup = find_setup(point.trainer, point.device);
    const auto not_run = [&](std::string reason) {
        point.status = PointStatus::not_run;
        point.reason = std::move(reason);
    };
    if (point.device != "cuda" && needs_gpu(products_in(config.train.precision)))
        return not_run(fmt::format("the precision {} needs a GPU", config.train.precision));
    if (!setup.available) return not_run(setup.reason);
    if (const std::string lacks = lacks_gpus(point, limits); !lacks.empty()) return not_run(lacks);
    if (const std::string lacks = lacks_launcher(point, limits); !lacks.empty()) return not_run(lacks);
    if (point.processors() <= limits.cores && limits.quota_cores > 0 && limits.quota_cores < 1) {
        point.status = PointStatus::oversubscribed;
        point.reason = fmt::format("its control group's quota is {:.2g} of a core", limits.quota_cores);
        return;
    }
    if (point.processors() <= limits.cores) return;
    const std::string needs = fmt::format("needs {} cores, this machine allows {}", point.processors(), limits.cores) +
                              (limits.quota_cores > 0 && static_cast<int>(limits.quota_cores) <= limits.cores
                                   ? fmt::format(" (CPU quota {:.3g})", limits.quota_cores)
                                   : "");
    if (!config.scaling.oversubscribe) return not_run(needs);
    point.status = PointStatus::oversubscribed;
    point.reason = needs;
}

}  // namespace

bool needs_launcher(const Point& point) {
    return std::string(find_setup(point.trainer, point.device).communicator) != "self";
}

bool meets_without_mpi(const Point& point) {
    return std::string(find_setup(point.trainer, point.device).communicator) == "gpus";
}

SweepLimits limits_here(const Config& config) {
    SweepLimits limits;
    const Hardware hardware = query_hardware();
    limits.cores = hardware.allowed_cores;
    limits.quota_cores = hardware.quota_cores;
    const LauncherChoice launcher = choose_launcher(config.scaling.launcher);
    limits.launcher_reason = launcher.reason;
    limits.local = launcher.launcher == Launcher::local;
    if (std::getenv("SLURM_JOB_ID") != nullptr) {  // not every cluster binds a job to what it was given
        limits.cores = std::min(limits.cores, number_from_environment("SLURM_CPUS_ON_NODE", limits.cores));
        limits.nodes = limits.local ? 1 : number_from_environment("SLURM_JOB_NUM_NODES", 1);
        limits.cores *= limits.nodes;
    }
    const auto wants_gpu = [](const SweepRow& row) { return row.device == "cuda" || row.trainer == "gpu_ddp"; };
    if (std::any_of(config.sweep.begin(), config.sweep.end(), wants_gpu)) {
        const GpuSystem system = query_gpus();
        limits.gpus = static_cast<int>(system.gpus.size());
        limits.gpu_reason = system.why_not;
    }
    return limits;
}

std::vector<Point> expand_points(const Config& config, const SweepLimits& limits) {
    std::vector<Point> points;
    std::set<std::string> seen;
    for (const SweepRow& row : config.sweep) {
        for (const int64_t ranks : row.ranks) {
            for (const int64_t threads : row.threads) {
                Point point;
                point.trainer = row.trainer;
                point.device = row.device.empty() ? find_setup(row.trainer).device : row.device;
                point.ranks = static_cast<int>(ranks);
                point.threads = static_cast<int>(threads);
                point.stage = static_cast<int>(row.stage);
                point.global_batch = config.train.batch_size * (config.scaling.mode == "weak" ? ranks : 1);
                judge(point, config, limits);
                if (seen.insert(point.id()).second) points.push_back(std::move(point));
            }
        }
    }
    return points;
}

}  // namespace xbench
