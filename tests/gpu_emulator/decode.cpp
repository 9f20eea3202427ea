// Operands become places in the register file; each family gets its try.
#include "tests/gpu_emulator/decode.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <stdexcept>

#include "tests/gpu_emulator/report.h"
#include "tests/gpu_emulator/warp.h"

namespace xbench::ptx {
namespace {

constexpr std::pair<const char*, SpecialRegister> special_names[] = {
    {"%tid.x", SpecialRegister::tid_x},
    {"%tid.y", SpecialRegister::tid_y},
    {"%tid.z", SpecialRegister::tid_z},
    {"%ntid.x", SpecialRegister::ntid_x},
    {"%ntid.y", SpecialRegister::ntid_y},
    {"%ntid.z", SpecialRegister::ntid_z},
    {"%ctaid.x", SpecialRegister::ctaid_x},
    {"%ctaid.y", SpecialRegister::ctaid_y},
    {"%ctaid.z", SpecialRegister::ctaid_z},
    {"%nctaid.x", SpecialRegister::nctaid_x},
    {"%nctaid.y", SpecialRegister::nctaid_y},
    {"%nctaid.z", SpecialRegister::nctaid_z},
    {"%laneid", SpecialRegister::laneid},
    {"%warpid", SpecialRegister::warpid},
    {"%lanemask_lt", SpecialRegister::lanemask_lt},
    {"%lanemask_le", SpecialRegister::lanemask_le},
    {"%lanemask_eq", SpecialRegister::lanemask_eq},
    {"%lanemask_ge", SpecialRegister::lanemask_ge},
    {"%lanemask_gt", SpecialRegister::lanemask_gt},
    {"WARP_SZ", SpecialRegister::warp_size},
    {"%smid", SpecialRegister::smid},
    {"%dynamic_smem_size", SpecialRegister::dynamic_smem_size},
    {"%total_smem_size", SpecialRegister::total_smem_size},
    {"%cluster_ctarank", SpecialRegister::zero},
    {"%cluster_ctaid.x", SpecialRegister::zero},
    {"%gridid", SpecialRegister::zero}};

uint32_t grains(uint32_t bytes) { return (bytes + register_grain - 1) / register_grain * register_grain; }

}  // namespace

Scalar scalar_of(const std::string& word) {
    static const std::map<std::string, Scalar> all{
        {"b8", Scalar::u8},       {"u8", Scalar::u8},         {"s8", Scalar::s8},     {"b16", Scalar::u16},
        {"u16", Scalar::u16},     {"s16", Scalar::s16},       {"b32", Scalar::u32},   {"u32", Scalar::u32},
        {"s32", Scalar::s32},     {"b64", Scalar::u64},       {"u64", Scalar::u64},   {"s64", Scalar::s64},
        {"f16", Scalar::f16},     {"bf16", Scalar::bf16},     {"f32", Scalar::f32},   {"f64", Scalar::f64},
        {"f16x2", Scalar::f16x2}, {"bf16x2", Scalar::bf16x2}, {"pred", Scalar::pred}, {"b128", Scalar::b128},
        {"tf32", Scalar::u32}};
    const auto found = all.find(word);
    return found == all.end() ? Scalar::none : found->second;
}

void not_implemented(Warp& warp, const Instruction& instruction) {
    report(warp, instruction, -1, Fault::not_implemented, "this opcode");
    warp.block->failed = true;
}

void no_operation(Warp&, const Instruction&) {}

Decode::Decode(Kernel& kernel, const ParsedKernel& parsed, const std::map<std::string, Variable>& globals)
    : kernel_(kernel), parsed_(parsed), globals_(globals) {}

void Decode::run() {
    const ControlFlow flow = control_flow(parsed_);
    kernel_.live_register_bytes = allocate_registers(parsed_, flow, offsets_);
    kernel_.register_bytes = grains(kernel_.live_register_bytes);
    kernel_.leader = flow.leader;
    kernel_.order = flow.order;
    kernel_.virtual_registers = static_cast<uint32_t>(
        std::count_if(offsets_.begin(), offsets_.end(), [](uint32_t offset) { return offset != no_register; }));
    kernel_.code.resize(parsed_.statements.size());
    kernel_.counters.resize(parsed_.statements.size());
    for (size_t i = 0; i < parsed_.statements.size(); ++i) decode(i);
    find_plain_code();
    std::sort(kernel_.missing.begin(), kernel_.missing.end());
    kernel_.missing.erase(std::unique(kernel_.missing.begin(), kernel_.missing.end()), kernel_.missing.end());
}

void Decode::find_plain_code() {
    constexpr uint16_t most = 60000;
    const size_t count = kernel_.code.size();
    kernel_.plain.assign(count, 0);
    for (size_t i = count; i-- > 0;) {
        if (kernel_.code[i].control != Control::next || kernel_.code[i].guard != no_register) continue;
        const bool goes_on = i + 1 < count && !kernel_.leader[i + 1] && kernel_.plain[i + 1] < most;
        kernel_.plain[i] = static_cast<uint16_t>(1 + (goes_on ? kernel_.plain[i + 1] : 0));
    }
}

void Decode::decode(size_t at) {
    statement_ = &parsed_.statements[at];
    instruction_ = &kernel_.code[at];
    instruction_->line = statement_->line;
    instruction_->source_line = statement_->source_line;
    kernel_.text.push_back(statement_->text);
    type = Scalar::none;
    for (const std::string& word : statement_->words)
        if (const Scalar found = scalar_of(word); found != Scalar::none) type = found;
    Execute routine = nullptr;
    try {
        if (statement_->guard >= 0) {
            instruction_->guard = reg(statement_->guard);
            instruction_->guard_negated = statement_->guard_negated;
        }
        for (const auto family : {decode_control, decode_memory, decode_atomic, decode_async, decode_matrix, decode_warp,
                                  decode_compare, decode_convert, decode_move, decode_float, decode_integer})
            if ((routine = family(*this))) break;
    } catch (const std::exception&) {
        routine = nullptr;
    }
    if (!routine) {
        kernel_.missing.push_back(statement_->opcode);
        instruction_->control = Control::next;
    }
    instruction_->execute = routine ? routine : not_implemented;
    if (routine && instruction_->bytes > 0 && instruction_->space != Space::global && instruction_->space != Space::param)
        note_width();
    note_taint();
}

// Of loads, stores and atomics, that may be of shared memory.
void Decode::note_width() {
    const std::string& name = statement_->name();
    if (name != "ld" && name != "st" && name != "atom" && name != "red") return;
    kernel_.shared_grain = std::min<uint32_t>(kernel_.shared_grain, instruction_->bytes);
}

// Which registers the instruction reads and writes, as places in a warp's table of undefined lanes.
void Decode::note_taint() {
    std::vector<uint32_t> read, write;
    const auto place = [&](int id) { return offsets_[static_cast<size_t>(id)] / register_grain; };
    const auto usable = [&](int id) {
        return parsed_.registers[static_cast<size_t>(id)].special.empty() &&
               offsets_[static_cast<size_t>(id)] != no_register;
    };
    const Statement& s = *statement_;
    const bool result = has_result(s) && !s.operands.empty() && s.operands[0].kind != OperandKind::address;
    for (size_t i = result ? 1 : 0; i < s.operands.size(); ++i)
        each_register(s.operands[i], [&](int id) {
            if (usable(id)) read.push_back(place(id));
        });
    if (result)
        each_register(s.operands[0], [&](int id) {
            if (usable(id)) write.push_back(place(id));
        });
    instruction_->read_count = static_cast<uint8_t>(std::min<size_t>(read.size(), 255));
    instruction_->write_count = static_cast<uint8_t>(std::min<size_t>(write.size(), 255));
    instruction_->reads = keep(std::move(read));
    instruction_->writes = keep(std::move(write));
}

const uint32_t* Decode::keep(std::vector<uint32_t> list) {
    kernel_.lists.push_back(std::move(list));
    return kernel_.lists.back().data();
}

uint32_t Decode::constant(uint64_t value, int bytes) {
    const auto [found, fresh] = constants_.try_emplace({value, bytes}, kernel_.register_bytes);
    if (fresh) {
        std::vector<uint8_t> lanes(static_cast<size_t>(bytes) * warp_lanes);
        for (size_t l = 0; l < warp_lanes; ++l)
            std::memcpy(&lanes[l * static_cast<size_t>(bytes)], &value, static_cast<size_t>(bytes));
        kernel_.register_bytes += grains(static_cast<uint32_t>(lanes.size()));
        kernel_.constants.push_back({found->second, std::move(lanes)});
    }
    return found->second;
}

uint32_t Decode::reg(int id) {
    if (id < 0) throw std::runtime_error("a register that nobody declared");
    uint32_t& offset = offsets_[static_cast<size_t>(id)];
    if (offset != no_register) return offset;
    const Register& declared = parsed_.registers[static_cast<size_t>(id)];
    offset = kernel_.register_bytes;
    kernel_.register_bytes += grains(declared.predicate ? register_grain : declared.bytes * uint32_t{warp_lanes});
    for (const auto& [name, which] : special_names)
        if (declared.special == name) kernel_.specials.push_back({offset, which});
    return offset;
}

bool Decode::is_parameter(const std::string& name, int64_t& offset) const {
    for (const Parameter& parameter : parsed_.parameters)
        if (parameter.name == name) {
            offset = parameter.offset;
            return true;
        }
    return false;
}

// In the window of its space where the generic address is meant (cvta follows), as PTX has it: relative to the space.
uint64_t Decode::address_of(const std::string& symbol) const {
    if (const auto found = parsed_.variables.find(symbol); found != parsed_.variables.end()) return found->second.address;
    if (const auto found = globals_.find(symbol); found != globals_.end()) return found->second.address;
    int64_t offset = 0;
    if (is_parameter(symbol, offset)) return param_window + static_cast<uint64_t>(offset);
    throw std::runtime_error("symbol " + symbol);
}

uint32_t Decode::source(size_t operand, int bytes) {
    const Operand& o = statement_->operands.at(operand);
    if (o.kind == OperandKind::reg) return reg(o.reg);
    if (o.kind == OperandKind::immediate) return constant(o.immediate, bytes);
    if (o.kind == OperandKind::symbol) return constant(address_of(o.symbol) + o.immediate, bytes);
    throw std::runtime_error("operand");
}

uint32_t Decode::result(size_t operand) {
    const Operand& o = statement_->operands.at(operand);
    return o.kind == OperandKind::sink ? constant(0xdead, 8) : reg(o.reg);
}

uint32_t Decode::second_result(size_t operand) {
    const int id = statement_->operands.at(operand).second_reg;
    return id < 0 ? no_register : reg(id);
}

void Decode::unary() {
    instruction_->d = result();
    instruction_->a = source(1);
}
void Decode::binary() {
    unary();
    instruction_->b = source(2);
}
void Decode::ternary() {
    binary();
    instruction_->c = source(3);
}

uint32_t Decode::predicate(size_t operand) {
    instruction_->negated = statement_->operands.at(operand).negated;
    return source(operand, 4);
}

bool Decode::is_predicate(size_t operand) const {
    const Operand& o = statement_->operands.at(operand);
    return o.kind == OperandKind::reg && parsed_.registers[static_cast<size_t>(o.reg)].predicate;
}

const std::string& Decode::special(size_t operand) const {
    static const std::string none;
    const Operand& o = statement_->operands.at(operand);
    return o.kind == OperandKind::reg ? parsed_.registers[static_cast<size_t>(o.reg)].special : none;
}

int Decode::operand_bytes(size_t operand) const {
    const Operand* o = &statement_->operands.at(operand);
    if (o->kind == OperandKind::vector)
        for (const Operand& element : o->elements)
            if (element.kind == OperandKind::reg) o = &element;
    return o->kind == OperandKind::reg ? register_bytes(o->reg) : bytes_of(type);
}

void Decode::address(size_t operand) {
    const Operand& o = statement_->operands.at(operand);
    if (o.kind != OperandKind::address) throw std::runtime_error("address");
    instruction_->offset = static_cast<int64_t>(o.immediate);
    if (o.reg >= 0) {
        instruction_->a = reg(o.reg);
        instruction_->narrow_address = register_bytes(o.reg) == 4;
    } else if (!o.symbol.empty()) {
        instruction_->offset += static_cast<int64_t>(address_of(o.symbol));
    }
}

const uint32_t* Decode::vector(size_t operand, int bytes, bool writes) {
    const Operand& o = statement_->operands.at(operand);
    std::vector<uint32_t> list;
    const auto one = [&](const Operand& element) {
        if (element.kind == OperandKind::sink) return no_register;
        if (element.kind == OperandKind::reg) return reg(element.reg);
        if (writes) throw std::runtime_error("operand");
        return constant(element.kind == OperandKind::symbol ? address_of(element.symbol) : element.immediate, bytes);
    };
    if (o.kind == OperandKind::vector)
        for (const Operand& element : o.elements) list.push_back(one(element));
    else
        list.push_back(one(o));
    instruction_->count = static_cast<uint8_t>(list.size());
    return keep(std::move(list));
}

void Decode::sync(uint32_t mask_register) {
    instruction_->control = Control::warp_sync;
    instruction_->mask = mask_register;
}

Kernel decode_kernel(const ParsedKernel& parsed, const ParsedModule& module) {
    Kernel kernel;
    kernel.name = parsed.name;
    kernel.source_file = module.source_file;
    kernel.parameters = parsed.parameters;
    kernel.parameter_bytes = parsed.parameter_bytes;
    kernel.shared_bytes = parsed.shared_bytes;
    kernel.local_bytes = parsed.local_bytes;
    kernel.most_threads = parsed.most_threads;
    kernel.variables = parsed.variables;
    Decode(kernel, parsed, module.variables).run();
    return kernel;
}

const char* name_of(Class of) {
    static constexpr const char* names[classes] = {"f32",          "f64",    "half",        "integer",      "convert",
                                                   "special",      "move",   "global load", "global store", "shared load",
                                                   "shared store", "local",  "param",       "atomic",       "cp.async",
                                                   "ldmatrix",     "matrix", "shuffle",     "barrier",      "control"};
    return names[static_cast<size_t>(of)];
}

Counter& Counter::operator+=(const Counter& other) {
    warps += other.warps;
    lanes += other.lanes;
    requests += other.requests;
    sectors += other.sectors;
    ideal_sectors += other.ideal_sectors;
    wavefronts += other.wavefronts;
    ideal_wavefronts += other.ideal_wavefronts;
    global_requests += other.global_requests;
    divergent += other.divergent;
    return *this;
}

}  // namespace xbench::ptx
