// An epoch's line stays; a step's is rewritten in place, and stays with --log-level debug.
#include "app/train_lines.h"

#include <fmt/format.h>
#include <set>

#include "core/plain_nan.h"
#include "parallel/checkpoint/epoch_result.h"

namespace xbench {
namespace {

std::string scaling_of(const EpochResult& e) {
    if (e.loss_scale == 1 && e.skipped_updates == 0) return "";
    return fmt::format("  loss scale {:.0f}, {} skipped", e.loss_scale, e.skipped_updates);
}

void show_epoch(ProgressLine& line, const Verbosity& verbosity, const TrainProgress& p) {
    const EpochResult& e = *p.finished_epoch;
    line.note_often(fmt::format("epoch {:>3}/{}  loss {:.4f}  val {:.4f}  accuracy {:.4f}  {:.0f} images/s{}{}", e.epoch,
                                p.epochs, plain_nan(e.train_loss), plain_nan(e.val_loss), plain_nan(e.val_accuracy),
                                static_cast<double>(e.images) / e.train_seconds, scaling_of(e), e.best ? "  best" : ""),
                    e.epoch == p.epochs);
    if (verbosity.debug())
        line.note(fmt::format("debug: epoch {}: learning rate {:.3g}, {:.2f} s of training, {:.2f} s of validation", e.epoch,
                              e.learning_rate, e.train_seconds, e.val_seconds));
}

}  // namespace

std::function<void(const TrainProgress&)> show_on(ProgressLine& line, const Verbosity& verbosity) {
    return [&line, verbosity](const TrainProgress& p) {
        if (p.finished_epoch != nullptr) return show_epoch(line, verbosity, p);
        const std::string text = fmt::format("epoch {}/{}  step {}/{}  loss {:.4f}  {:.0f} images/s", p.epoch, p.epochs,
                                             p.step, p.steps, plain_nan(p.loss), p.images_per_second);
        if (verbosity.debug())
            line.note("debug: " + text);
        else
            line.update(static_cast<double>(p.step), static_cast<double>(p.steps), text, p.seconds_left);
    };
}

std::string start_details(const std::string& trainer, const Dataset& dataset, Communicator& communicator,
                          const Binding& binding, const std::string& folder) {
    const DatasetInfo& info = dataset.info();
    const std::vector<int> nodes = communicator.nodes();
    std::string text = fmt::format("{}: ranks {}, nodes {}, talking by {}\n", trainer, communicator.size(),
                                   std::set<int>(nodes.begin(), nodes.end()).size(), communicator.name());
    text += fmt::format("rank 0 {} {} of {} cores; kernels for {}\n", binding.bound ? "is bound to" : "may use",
                        binding.cpuset, binding.allowed_cores, isa_name(usable_isa()));
    text += fmt::format("{}: {} images of {}x{}x{}, {} train, {} val, {} test, digest {}\n", info.source, info.count,
                        info.channels, info.height, info.width, dataset.indices(Split::train).size(),
                        dataset.indices(Split::val).size(), dataset.indices(Split::test).size(), dataset.digest());
    return text + "run folder " + folder;
}

}  // namespace xbench
