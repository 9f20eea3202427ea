// Names of operators and roles, access to an operator's attributes as plain data, and a graph's outputs.
#include "core/graph.h"

#include <algorithm>

#include "core/error.h"

namespace xbench {

const void* plain(const Attrs& attrs) {
    return std::visit(
        [](const auto& value) -> const void* {
            if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>)
                return nullptr;
            else
                return &value;
        },
        attrs);
}

ValueId Graph::add(Value value) {
    values.push_back(std::move(value));
    return static_cast<ValueId>(values.size() - 1);
}

ValueId Graph::output(std::string_view wanted) const {
    std::string names;
    for (const Output& output : outputs) {
        if (output.name == wanted) return output.value;
        names += (names.empty() ? "" : ", ") + output.name;
    }
    throw Error("no output has the name " + std::string(wanted), "model " + name,
                "its outputs are: " + (names.empty() ? "none" : names));
}

bool Graph::is_output(ValueId id) const {
    return std::any_of(outputs.begin(), outputs.end(), [id](const Output& output) { return output.value == id; });
}

bool Graph::is_loss(ValueId id) const {
    return std::any_of(outputs.begin(), outputs.end(),
                       [id](const Output& output) { return output.value == id && output.is_loss; });
}

void Graph::pin(ValueId id, std::string as, bool with_gradient) {
    for (const Output& output : outputs)
        if (output.name == as) throw Error("two outputs have the name " + as, "model " + name, "give each its own");
    outputs.push_back({std::move(as), id, false, with_gradient});
}

const char* name_of(OpKind op) {
#define XB_NAME(name) #name,
    static constexpr std::array names{XB_OPERATORS(XB_NAME)};
#undef XB_NAME
    static_assert(names.size() == static_cast<size_t>(OpKind::count_));
    return names[static_cast<size_t>(op)];
}

const char* name_of(Role role) {
    static constexpr std::array names{"input",      "label",    "parameter",          "buffer",   "constant",
                                      "activation", "gradient", "parameter_gradient", "statistic"};
    return names[static_cast<size_t>(role)];
}

}  // namespace xbench
