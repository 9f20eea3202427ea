// Timing and checking collectives.
#include "bench/comm/comm_suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <memory>

#include "bench/base/measure.h"
#include "core/error.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

// A transport's memory for one size, and one call of the operation on it.
struct Channel {
    Channel(const Transport& with, size_t elements)
        : transport(with),
          count(elements),
          memory(with.communicator->allocate(elements * sizeof(float))),
          received(with.communicator->allocate(elements * sizeof(float))),
          data(memory.as<float>()) {}
    // Between the host and the buffers, for which it waits.
    void write(const std::vector<float>& numbers) const {
        if (transport.device) return transport.device->copy(data, numbers.data(), count * sizeof(float));
        std::copy_n(numbers.data(), count, data);
    }
    std::vector<float> read(const float* from) const {
        std::vector<float> numbers(count);
        if (!transport.device) std::copy_n(from, count, numbers.data());
        if (transport.device)
            transport.device->read(from, static_cast<int64_t>(count),
                                   [&](const float* here) { std::copy_n(here, count, numbers.data()); });
        return numbers;
    }
    void call(const std::string& operation) const {
        Communicator& c = *transport.communicator;
        if (operation == "all_reduce") return c.all_reduce_sum(data, count, transport.reduction);
        if (operation == "reduce_scatter") return c.reduce_scatter_sum(data, count, transport.reduction);
        if (operation == "all_gather") return c.all_gather(data, count);
        if (operation == "broadcast") return c.broadcast(data, count * sizeof(float), 0);
        c.shift(data, received.as<float>(), count * sizeof(float), 1 % c.size());
    }
    const Transport& transport;
    size_t count;
    AlignedBuffer memory, received;
    float* data;
};

// Small integers, so that sums are exact in any order.
float number_of(int rank, size_t i) { return static_cast<float>((i % 251) * static_cast<size_t>(rank + 1)); }
float sum_of(int ranks, size_t i) { return static_cast<float>((i % 251) * static_cast<size_t>(ranks * (ranks + 1) / 2)); }

// How many elements are wrong after one call, over all ranks.
uint64_t count_wrong(const Channel& channel, const std::string& operation) {
    Communicator& c = *channel.transport.communicator;
    const RankRange mine = range_of_rank(channel.count, c.rank(), c.size());
    std::vector<float> numbers(channel.count);
    for (size_t i = 0; i < channel.count; ++i) {
        const bool sent = operation != "all_gather" || (i >= mine.begin && i < mine.end);
        numbers[i] = sent ? number_of(operation == "all_gather" ? 0 : c.rank(), i) : -1;
    }
    channel.write(numbers);
    c.barrier();
    channel.call(operation);
    const bool reduced = operation == "all_reduce" || operation == "reduce_scatter";
    const std::vector<float> result = channel.read(operation == "sendrecv" ? channel.received.as<float>() : channel.data);
    const int from = operation == "sendrecv" ? (c.rank() - 1 + c.size()) % c.size() : 0;
    double wrong = 0;
    for (size_t i = 0; i < channel.count; ++i) {
        if (operation == "reduce_scatter" && (i < mine.begin || i >= mine.end)) continue;
        wrong += result[i] != (reduced ? sum_of(c.size(), i) : number_of(from, i));
    }
    c.all_reduce_sum(&wrong, 1, Reduction::invariant);
    return static_cast<uint64_t>(wrong);
}

// Seconds of one call, on the slowest rank.
double time_calls(const Channel& channel, const std::string& operation, int calls) {
    Communicator& c = *channel.transport.communicator;
    Device* const device = channel.transport.device;
    c.barrier();
    const auto start = Clock::now();
    const DeviceEvent begin = device ? device->record() : DeviceEvent{};
    for (int i = 0; i < calls; ++i) channel.call(operation);
    double seconds = (device ? static_cast<double>(device->elapsed_ns(begin, device->record())) * 1e-9
                             : std::chrono::duration<double>(Clock::now() - start).count()) /
                     calls;
    c.all_reduce_max(&seconds, 1);
    return seconds;
}

std::vector<CommTiming> time_size(const std::vector<Transport>& transports, const CommSuiteOptions& options,
                                  const std::string& operation, uint64_t bytes) {
    const size_t count = std::max<size_t>(1, bytes / sizeof(float));
    std::vector<CommTiming> timings;
    std::vector<std::unique_ptr<Channel>> channels;
    std::vector<int> calls;
    std::vector<std::vector<double>> microseconds(transports.size());
    for (const Transport& transport : transports) {
        channels.push_back(std::make_unique<Channel>(transport, count));
        CommTiming timing;
        timing.operation = operation;
        timing.transport = transport.name;
        timing.count = count;
        timing.bytes = count * sizeof(float);
        timing.ranks = transport.communicator->size();
        timing.wrong = count_wrong(*channels.back(), operation);
        timing.emulated = transport.device && transport.device->is_emulated();
        timings.push_back(timing);
        calls.push_back(0);
        if (timing.emulated) continue;
        // Sums of zeros stay zero however often they are repeated.
        channels.back()->write(std::vector<float>(count));
        const double once = time_calls(*channels.back(), operation, 2);
        calls.back() = static_cast<int>(std::clamp(options.seconds / once, 2.0, 20000.0));
    }
    for (int round = 0; round < options.rounds; ++round)
        for (size_t t = 0; t < channels.size(); ++t)
            if (!timings[t].emulated) microseconds[t].push_back(1e6 * time_calls(*channels[t], operation, calls[t]));
    for (size_t t = 0; t < timings.size(); ++t) {
        CommTiming& timing = timings[t];
        if (timing.emulated) continue;
        timing.microseconds = median(microseconds[t]);
        timing.low = *std::min_element(microseconds[t].begin(), microseconds[t].end());
        timing.high = *std::max_element(microseconds[t].begin(), microseconds[t].end());
        timing.algbw = static_cast<double>(timing.bytes) / timing.microseconds * 1e-3;
        timing.busbw = timing.algbw * bus_factor(operation, timing.ranks);
    }
    return timings;
}

}  // namespace

std::vector<std::string> comm_operations() {
    return {"all_reduce", "reduce_scatter", "all_gather", "broadcast", "sendrecv"};
}

std::vector<uint64_t> comm_sizes(const CommSuiteOptions& options) {
    std::vector<uint64_t> sizes;
    for (double bytes = static_cast<double>(options.begin_bytes); bytes <= static_cast<double>(options.end_bytes);
         bytes *= options.factor)
        sizes.push_back(static_cast<uint64_t>(bytes));
    return sizes;
}

double bus_factor(const std::string& operation, int ranks) {
    const double n = ranks;
    if (operation == "all_reduce") return 2 * (n - 1) / n;
    if (operation == "reduce_scatter" || operation == "all_gather") return (n - 1) / n;
    return 1;
}

uint64_t parse_bytes(const std::string& text) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string unit(end, text.data() + text.size());
    static constexpr std::array units{std::pair{"", 0}, std::pair{"K", 10}, std::pair{"M", 20}, std::pair{"G", 30}};
    for (const auto& [name, shift] : units)
        if (error == std::errc{} && unit == name && number > 0 && number <= (uint64_t{1} << 40) >> shift)
            return number << shift;
    throw UsageError("\"" + text + "\" is no size", "xbench comm", "write bytes, or a number with K, M or G: 64M");
}

void run_comm_suite(const std::vector<Transport>& transports, const CommSuiteOptions& options,
                    const std::function<void(const std::vector<CommTiming>&)>& done) {
    if (options.factor <= 1) throw UsageError("the factor between sizes must be above 1", "xbench comm -f");
    for (const std::string& operation : options.operations.empty() ? comm_operations() : options.operations)
        for (const uint64_t bytes : comm_sizes(options)) done(time_size(transports, options, operation, bytes));
}

std::string comm_table_head(const std::string& operation, const std::vector<Transport>& transports, int ranks) {
    const bool sum = operation == "all_reduce" || operation == "reduce_scatter";
    std::string names = fmt::format("# {}, {} ranks, float{}, in place\n#{:>11}{:>13}{:>7}", operation, ranks,
                                    sum ? ", sum" : "", "", "", "");
    std::string columns = fmt::format("#{:>11}{:>13}{:>7}", "size", "count", "type"),
                units = fmt::format("#{:>11}{:>13}{:>7}", "(B)", "(elements)", "");
    for (const Transport& transport : transports) {
        names += fmt::format("  |{:^41}", transport.name);
        columns += fmt::format("  |{:>12}{:>10}{:>10}{:>9}", "time", "algbw", "busbw", "#wrong");
        units += fmt::format("  |{:>12}{:>10}{:>10}{:>9}", "(us)", "(GB/s)", "(GB/s)", "");
    }
    if (transports.size() > 1) columns += fmt::format("  |  {} / {}", transports.back().name, transports.front().name);
    return names + "\n" + columns + "\n" + units + "\n";
}

std::string comm_table_row(const std::vector<CommTiming>& timings) {
    std::string row = fmt::format(" {:>11}{:>13}{:>7}", timings[0].bytes, timings[0].count, "float");
    for (const CommTiming& t : timings)
        if (t.emulated)
            row += fmt::format("  |{:>32}{:>9}", "emulated", t.wrong);
        else
            row += fmt::format("  |{:>12.2f}{:>10.2f}{:>10.2f}{:>9}", t.microseconds, t.algbw, t.busbw, t.wrong);
    if (timings.size() > 1 && !timings[0].emulated)
        row += fmt::format("  |  {:.2f}", timings.back().microseconds / timings.front().microseconds);
    return row + "\n";
}

Json to_json(const CommTiming& t) {
    Json json{{"operation", t.operation}, {"transport", t.transport}, {"ranks", t.ranks},          {"bytes", t.bytes},
              {"count", t.count},         {"type", "float"},          {"time_us", t.microseconds}, {"time_us_low", t.low},
              {"time_us_high", t.high},   {"algbw_gb_s", t.algbw},    {"busbw_gb_s", t.busbw},     {"wrong", t.wrong}};
    if (!t.emulated) return json;
    json["emulated"] = true;
    for (const char* time : {"time_us", "time_us_low", "time_us_high", "algbw_gb_s", "busbw_gb_s"}) json[time] = nullptr;
    return json;
}

}  // namespace xbench
