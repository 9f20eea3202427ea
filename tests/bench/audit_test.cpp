// The audit of published tables (tests/bench/audit/*.csv): every figure that their own numbers give, who is accused and who
// is not. The randomised half is in audit_random_test.cpp.
#include "bench/audit/audit.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace xbench::audit {
namespace {

using testing::HasSubstr;
using testing::Not;

Report audit_file(const std::string& name) { return audit(read_csv(XB_SOURCE_DIR "/tests/bench/audit/" + name)); }
Report audit_of(const std::string& text) { return audit(parse_csv(text, "t.csv")); }

std::vector<std::string> impossible_rows(const Report& report) {
    std::vector<std::string> rows;
    for (const Finding& finding : report.findings)
        if (finding.level == Level::impossible) rows.push_back(fmt::format("{} {}", finding.check, finding.row));
    return rows;
}

TEST(Audit, PneumoniaAddsUp) {
    const Report report = audit_file("pneumonia.csv");
    EXPECT_FALSE(report.impossible()) << audit_text(report);
    EXPECT_THAT(audit_text(report), HasSubstr("accuracy 0.940273, F1 normal 0.878, pneumonia 0.960, macro F1 0.919"));
}

TEST(Audit, FractureIsWithinNoiseOfTheMajority) {
    const Report report = audit_file("fracture.csv");
    EXPECT_FALSE(report.impossible()) << audit_text(report);
    EXPECT_THAT(audit_text(report), HasSubstr("accuracy 0.960486"));
    EXPECT_THAT(audit_text(report), HasSubstr("balanced accuracy 0.662"));
    EXPECT_THAT(audit_text(report),
                HasSubstr("always saying \"fracture\" gives 0.9544; the accuracy .9605 is within the noise"));
}

TEST(Audit, RsnaEfficienciesWereDividedByOtherNumbers) {
    const Report report = audit_file("rsna.csv");
    const std::string text = audit_text(report);
    EXPECT_THAT(impossible_rows(report), testing::UnorderedElementsAre("1 2-GPU DDP", "2 2-GPU DDP", "2 2-GPU DDP",
                                                                       "1 3-GPU FSDP", "2 3-GPU FSDP", "2 3-GPU FSDP"))
        << text;
    EXPECT_THAT(text, HasSubstr("2-GPU DDP: speedup 1.92x is printed; T(serial)/T gives 1.9412 to 1.9422"));
    EXPECT_THAT(text, HasSubstr("2-GPU DDP: efficiency .38 is printed; T(serial)/T/N gives 0.9706 to 0.97112"));
    EXPECT_THAT(text, HasSubstr("2-GPU DDP: printed S/E = 4.97 to 5.13: the efficiency was divided by 5, not by 2"));
    EXPECT_THAT(text, HasSubstr("3-GPU FSDP: speedup 1.99x is printed; T(serial)/T gives 1.6713 to 1.6721"));
    EXPECT_THAT(text, HasSubstr("3-GPU FSDP: printed S/E = 5.93 to 6.14: the efficiency was divided by 6, not by 3"));
    EXPECT_THAT(text, HasSubstr("Karp-Flatt 0.184 at 2, 0.403 at 4: rising: overhead that grows"));
    EXPECT_THAT(text, HasSubstr("the point at 2 predicts 2.58x at 4, measured 1.81x"));
    EXPECT_THAT(
        text,
        HasSubstr("2-CPU DDP: other work, so no speed-up may stand beside its accuracy: 5 epochs where serial has 10"));
    EXPECT_THAT(text, HasSubstr("serial: base on cpu, and speed-ups of 2-GPU DDP (gpu)"));
}

TEST(Audit, CifarSawHalfOfTheImages) {
    const std::string text = audit_text(audit_file("cifar.csv"));
    EXPECT_THAT(text, HasSubstr("Karp-Flatt 0.715 at 2"));
    EXPECT_THAT(text, HasSubstr("speed-up 1.166, efficiency 0.583"));
    EXPECT_THAT(text,
                HasSubstr("24992 images an epoch if the batch is the global one, where row 1 sees 50000: 50% of the work"));
    EXPECT_THAT(text, HasSubstr("accuracy falls by 3.3 +- 1.3 points"));
}

TEST(Audit, NihMeanIsNotTheMeanOfItsTable) {
    const Report report = audit_file("nih.csv");
    EXPECT_THAT(audit_text(report), HasSubstr("mean: f1 .32 is printed; mean of the F1s gives 0.25"));
    EXPECT_THAT(audit_text(report), HasSubstr("mean F1 of the 14 classes is 0.261"));
    EXPECT_THAT(impossible_rows(report), testing::ElementsAre("16 mean"));
    ASSERT_FALSE(report.repairs.empty());
    EXPECT_EQ(report.repairs[0].text, "mean, f1: .32 -> .26");
}

TEST(Audit, TensorFlowIsNotAccused) {
    const Report report = audit_file("tensorflow.csv");
    const std::string text = audit_text(report);
    EXPECT_FALSE(report.impossible()) << text;
    EXPECT_THAT(
        text, HasSubstr("P100 InceptionV3 synthetic, row 3: more than linear as printed, but 3.989 to 4.025 with rounding"));
    EXPECT_THAT(text, HasSubstr("P100 AlexNet synthetic: Karp-Flatt 0.056 at 2, 0.046 at 4, 0.049 at 8: constant"));
    EXPECT_THAT(text, HasSubstr("K80 ResNet-50 EC2: Karp-Flatt 0.016 at 8, 0.008 at 16, 0.007 at 32, 0.004 at 64: falling"));
    EXPECT_THAT(text, HasSubstr("Piz Daint InceptionV3: Karp-Flatt 0.045 at 2, 0.019 at 4, 0.012 at 8: falling"));
}

TEST(Audit, TensorFlowPercentagesWereCutOff) {
    const Report report = audit_file("tensorflow_claims.csv");
    EXPECT_FALSE(report.impossible()) << audit_text(report);
    int truncated = 0;
    for (const Finding& finding : report.findings) truncated += finding.level == Level::if_truncated ? 1 : 0;
    EXPECT_EQ(truncated, 3) << audit_text(report);  // two percentages by their speed-ups, one of them by its rates too
}

struct Case {
    const char* what;
    const char* csv;
    const char* text;
};

// One table for each check whose words the published ones do not show.
TEST(Audit, EveryCheckSpeaks) {
    const std::vector<Case> cases{
        {"4", "ranks,seconds,speedup,karp_flatt\n1,100,1.00,\n4,40,2.50,0.30\n", "karp_flatt 0.30 is printed"},
        {"5", "ranks,seconds\n1,100.0\n4,20.0\n", "more than linear beyond rounding"},
        {"6", "ranks,seconds,percent_faster\n1,100,\n2,60,40\n",
         "66.7% faster is what 1.667x means, the claim is the share of time saved"},
        {"6 slower", "ranks,seconds\n1,100\n2,60\n4,70\n", "4 processors are slower than 2"},
        {"7", "ranks,seconds,speedup\n2,50.0,1.90\n4,26.0,3.65\n8,14.0,6.79\n",
         "the row that speed-ups are against is not in the table"},
        {"8", "ranks,seconds,images_per_second,images\n1,100,50,9000\n", "images/s x seconds = "},
        {"9", "ranks,seconds\n1,100\n2,101\n4,103\n8,108\n", "weak scaling, or nothing was gained"},
        {"10", "ranks,seconds\n1,1234.5\n2,1234.5\n", "stands in more than one row"},
        {"10 steps", "ranks,seconds\n1,100\n2,90\n4,80\n8,70\n16,60\n", "arithmetic progression"},
        {"11", "ranks,seconds,repeats\n1,100,1\n2,60,1\n", "one run: no interval"},
        {"12", "ranks,seconds,speedup\n1,10,1.000\n2,6,1.667\n", "more digits than seconds of 6 can give"},
        {"13", "run,accuracy,n_test\na,.853,20\n",
         "accuracy .853 is printed; a whole number of images out of n_test gives 0.85"},
        {"14", "class,precision,recall,f1,support\na,.9,.9,.9,10\nb,.9,.9,.9,10\naccuracy,,,.9,30\n",
         "support 30 is printed; sum of the supports gives 20"},
        {"15", "class,precision,recall,f1\na,.90,.50,.70\n", "f1 .70 is printed; 2PR/(P+R) gives 0.6"},
        {"17", "class,precision,recall,f1,support\na,.50,.50,.50,7\nb,.50,.50,.50,8\naccuracy,,,.50,15\n",
         "a whole number of images of the class"},
        {"18", "run,accuracy,majority\na,.72,.75\n", "no better than always saying the most frequent class"},
        {"19", "run,accuracy,n_test\na,.90,100\nb,.88,100\n", "within the noise of the test images"},
        {"20", "run,auc\na,.43\n", "worse than chance"},
        {"20 range", "run,accuracy,auc\na,.9,1.2\n", "auc 1.2 is outside of 0 to 1"},
        {"21", "run,accuracy\na,.9123\nb,.9123\nc,.9123\n", "the same weights, or copied"},
        {"21 differ", "run,accuracy,epochs\na,.91,5\nb,.90,5\n", "rows of equal work have different accuracies"},
        {"22", "run,accuracy,loss\na,.90,.3\nb,.92,.5\n", "accuracy rises and loss rises as well"}};
    for (const Case& c : cases) EXPECT_THAT(audit_text(audit_of(c.csv)), HasSubstr(c.text)) << c.what;
}

TEST(Audit, OneCellIsNamed) {
    const Report report =
        audit_of("ranks,seconds,speedup,efficiency\n1,100.0,1.00,1.00\n2,52.0,1.92,.96\n4,28.0,3.75,.89\n8,16.0,6.25,.78\n");
    ASSERT_EQ(report.repairs.size(), 1u) << audit_text(report);
    EXPECT_EQ(report.repairs[0].text, "row 3, speedup: 3.75 -> 3.57");
    EXPECT_TRUE(report.repairs[0].only);
    const Report base =
        audit_of("ranks,seconds,speedup,efficiency\n1,120.0,1.00,1.00\n2,52.0,1.92,.96\n4,28.0,3.57,.89\n8,16.0,6.25,.78\n");
    ASSERT_FALSE(base.repairs.empty()) << audit_text(base);
    EXPECT_THAT(base.repairs[0].text, HasSubstr("row 1, seconds: 120.0 -> 99.9"));
}

TEST(Audit, BasesThatAreNotTheFirstRow) {
    // Efficiency in multiples of a base of 8; a one-rank row that is not the base; rates instead of seconds; weak scaling.
    for (const char* csv :
         {"gpus,seconds,speedup,efficiency\n8,100.0,1.00,1.00\n16,52.0,1.92,.96\n32,28.0,3.57,.89\n",
          "trainer,ranks,seconds,speedup\ncpu_ddp,1,105.0,0.95\nserial,1,100.0,1.00\ncpu_ddp,2,52.0,1.92\n",
          "ranks,images_per_second,speedup,efficiency\n1,1000,1.00,1.00\n2,1923,1.92,.96\n",
          "device,ranks,seconds,speedup\ncpu,1,100.0,1.00\ncpu,2,52.0,1.92\ngpu,1,5.00,1.00\ngpu,2,2.60,1.92\n",
          "mode,ranks,seconds,speedup,efficiency\nweak,1,100,1.00,1.00\nweak,4,110,3.64,.91\n"}) {
        const Report report = audit_of(csv);
        EXPECT_FALSE(report.impossible()) << audit_text(report);
    }
}

// Sensitivity, F1 and accuracy of one class leave no room for whole numbers, though each alone does.
TEST(Audit, WholeNumbersMustFitTogether) {
    const std::string head = "class,recall,f1,support\n";
    EXPECT_TRUE(audit_of(head + "yes,.943,.855,282\nno,,,214\naccuracy,,.851,496\n").impossible());
    EXPECT_FALSE(audit_of(head + "yes,.943,.878,282\nno,,,214\naccuracy,,.851,496\n").impossible());
    EXPECT_FALSE(
        audit_of("class,f1,support\na,.9,60000\nb,.9,60000\naccuracy,.9,120000\n").impossible());  // too many to try
}

// Reports that do not list all classes, labels that come several at a time: nothing there has to add up.
TEST(Audit, PartsOfReportsAreNotAccused) {
    for (const char* csv :
         {"class,recall,f1,support\nyes,.459,.339,61\nno,,,280\naccuracy,,.680,341\n",
          "class,precision,recall,f1,support,accuracy,n_test\na,.90,.90,.90,100,.80,500\nb,.80,.80,.80,100,,\n",
          "class,precision,recall,f1,support\na,.90,.90,.90,100\nb,.80,.80,.80,100\nsamples avg,.70,.60,.62,150\n"}) {
        const Report report = audit_of(csv);
        EXPECT_FALSE(report.impossible()) << audit_text(report);
    }
}

TEST(Audit, UnknownTablesAndWordsAreRefused) {
    EXPECT_THROW(audit_of("colour,shape\nred,round\n"), UsageError);
    try {
        audit_of("ranks,seconds\n1,fast\n");
        FAIL();
    } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), HasSubstr("t.csv:2: \"fast\" in column seconds is no number"));
    }
    for (const char* csv :
         {"ranks,seconds\n1,0\n", "ranks,seconds\n0,10\n", "accuracy,n_test\n.5,0\n", "ranks,speedup\n2,-1.5\n"})
        EXPECT_THROW(audit_of(csv), UsageError) << csv;
    EXPECT_THAT(audit_text(audit_of("ranks,seconds,colour\n1,10,red\n2,6,blue\n")),
                HasSubstr("Columns that no check reads: colour"));
}

TEST(Audit, HeadersAreKnownAsPeopleWriteThem) {
    for (const char* csv :
         {"# GPUs,Training time (min),Speed-up (x),Parallel efficiency (%)\n1,92.2,1.00,100\n2,54.6,1.69,95\n",
          "Number of nodes,Wall time [h],Speedup,Efficiency\n1,9.22,1.00,1.00\n2,5.46,1.69,.95\n",
          "N,Throughput (img/s),S,E %\n1,100,1.00,100%\n2,169,1.69,95%\n",
          "cores,time_ms,speed_up,efficiency_percent\n1,922,1.00,100\n2,546,1.69,95\n"}) {
        const Report report = audit_of(csv);
        EXPECT_TRUE(report.ignored.empty()) << csv;
        EXPECT_THAT(audit_text(report), testing::ContainsRegex("(gives 84|gives 0.84)")) << csv << audit_text(report);
    }
}

// Of nodes, GPUs and ranks the ones that an efficiency counts.
TEST(Audit, TheRightProcessorsAreCounted) {
    for (const char* csv :
         {"nodes,gpus,seconds,speedup,efficiency\n1,1,100.0,1.00,1.00\n1,4,26.0,3.85,.96\n2,8,13.6,7.35,.92\n",
          "nodes,gpus_per_node,seconds,speedup,efficiency\n1,1,100.0,1.00,1.00\n1,4,26.0,3.85,.96\n2,4,13.6,7.35,.92\n",
          "cores,ranks,threads,seconds,speedup,efficiency\n1,1,1,100.0,1.00,1.00\n4,2,2,26.0,3.85,.96\n",
          "ranks,cores,seconds,speedup,efficiency\n1,1,100.0,1.00,1.00\n2,4,26.0,3.85,.96\n"}) {
        const Report report = audit_of(csv);
        EXPECT_FALSE(report.impossible()) << csv << audit_text(report);
    }
}

// As other programs and countries save tables: not to be refused, and nobody is accused for it.
TEST(Audit, SeparatorsAndDecimalCommas) {
    for (const char* text :
         {"Ranks;Time (s);Speedup;Efficiency\r\n1;100,0;1,000;1,00\r\n2;52,0;1,923;0,96\r\n",
          "ranks\tseconds\tspeedup\tefficiency\n1\t100\t1\t100%\n2\t52\t1.92\t96%\n",
          "ranks;seconds;speedup\n1;5,530;1.00\n2;2,765;2.00\n", "ranks,seconds,speedup\n1,\"5,530\",1\n2,2765,2\n"}) {
        const Report report = audit(parse_table(text, "t.csv"));
        EXPECT_FALSE(report.impossible()) << text << audit_text(report);
        EXPECT_GE(report.relations, 2) << text << audit_text(report);
    }
    EXPECT_TRUE(audit(parse_table("ranks;seconds;speedup\n1;100,0;1,0\n2;52,0;1,7\n", "t.csv")).impossible());
}

TEST(Audit, TimesMayHaveTheirOwnUnits) {
    struct Time {
        const char* text;
        double seconds, unit;
    };
    for (const Time& t : {Time{"1h 2m", 3720, 60}, Time{"31m", 1860, 60}, Time{"1.5 h", 5400, 360}, Time{"45 min", 2700, 60},
                          Time{"2 hrs 5 min 3.5 secs", 7503.5, 0.1}, Time{"1h02m", 3720, 60}, Time{"90 ms", 0.09, 0.001},
                          Time{"5,530 s", 5530, 1}, Time{"1,5 Hours", 5400, 360}}) {
        const auto time = parse_time(t.text);
        ASSERT_TRUE(time) << t.text;
        EXPECT_NEAR(time->value, t.seconds, 1e-9 * t.seconds) << t.text;
        EXPECT_NEAR(time->unit, t.unit, 1e-9 * t.unit) << t.text;
    }
    for (const char* text : {"", "5530", "31 apples", "m", "2m 1h", "12.3 +- 0.2", "1:32:10"})
        EXPECT_FALSE(parse_time(text)) << text;
    for (const char* csv :
         {"GPUs,time,speed-up\n1,1h 2m,1x\n2,31m,2.0x\n", "GPUs,time,speed-up\n1,1.5 h,1x\n2,45 min,2.0x\n",
          "GPUs,Time (min),speed-up\n1,62,1x\n2,1860 s,2.0x\n"}) {
        const Report report = audit_of(csv);
        EXPECT_FALSE(report.impossible()) << csv << audit_text(report);
    }
    EXPECT_TRUE(audit_of("GPUs,time,speed-up\n1,1h 2m,1x\n2,31m,1.5x\n").impossible());
}

TEST(Audit, NumbersKeepTheirDigits) {
    struct Number {
        const char* text;
        double value, unit;
    };
    for (const Number& n : {Number{"5530", 5530, 1},
                            {"5,530 s", 5530, 1},
                            {"1.920x", 1.92, 0.001},
                            {"87.2%", 0.872, 0.001},
                            {"38 %", 0.38, 0.01},
                            {".84", 0.84, 0.01},
                            {"1.2e3", 1200, 100},
                            {"1,92", 1.92, 0.01},
                            {"1:32:10", 5530, 1},
                            {"4:05.2", 245.2, 0.1},
                            {"0.91 +- 0.02", 0.91, 0.01},
                            {"-3", -3, 1}}) {
        const auto printed = parse_printed(n.text);
        ASSERT_TRUE(printed) << n.text;
        EXPECT_NEAR(printed->value, n.value, 1e-12) << n.text;
        EXPECT_NEAR(printed->unit, n.unit, 1e-12 * n.unit) << n.text;
    }
    for (const char* text : {"", "-", "n/a", "fast", ".", "10/12", "2^3", "1:xx"}) EXPECT_FALSE(parse_printed(text)) << text;
    const Printed half = *parse_printed("0.12");
    EXPECT_TRUE(range_of(half, Rounding::half_even).holds(0.125));
    EXPECT_FALSE(range_of(half, Rounding::nearest).holds(0.125));
    EXPECT_FALSE(range_of(*parse_printed("0.13"), Rounding::half_even).holds(0.125));
    EXPECT_TRUE(range_of(half, Rounding::truncated).holds(0.1299));
    EXPECT_FALSE(range_of(half, Rounding::truncated).holds(0.1199));
}

}  // namespace
}  // namespace xbench::audit
