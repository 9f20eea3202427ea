// Lines of progress fit their terminal.
#include "core/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace xbench {
namespace {

TEST(Progress, LinesAreShortenedAtACharacter) {
    EXPECT_EQ(shortened("epoch 1/3", 9), "epoch 1/3");
    EXPECT_EQ(shortened("epoch 1/3", 8), "epoch...");
    EXPECT_EQ(shortened("epoch 1/3", 2), "..");
    EXPECT_EQ(shortened("epoch 1/3", 0), "");
    EXPECT_EQ(shortened("\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F", 4), "\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F");
    EXPECT_EQ(shortened("\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9Fz", 4), "\xC3\xA4...");
    for (size_t columns = 3; columns < 40; ++columns) EXPECT_LE(shortened(std::string(60, 'x'), columns).size(), columns);
}

std::string written(const std::function<void(ProgressLine&)>& work) {
    std::FILE* file = std::tmpfile();
    {
        ProgressLine line(file);
        work(line);
    }
    std::string text(static_cast<size_t>(std::ftell(file)), 0);
    std::rewind(file);
    EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
    std::fclose(file);
    return text;
}

TEST(Progress, AThousandEpochsDoNotFloodALog) {
    const std::string text = written([](ProgressLine& line) {
        for (int epoch = 1; epoch <= 1000; ++epoch) {
            line.update(epoch, 1000, "step");
            line.note_often("epoch " + std::to_string(epoch), epoch == 1000);
        }
    });
    EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 100);
    EXPECT_NE(text.find("epoch 20\n"), std::string::npos);
    EXPECT_NE(text.find("epoch 1000\n"), std::string::npos);
    EXPECT_EQ(text.find('\r'), std::string::npos);  // no terminal: plain lines
}

}  // namespace
}  // namespace xbench
