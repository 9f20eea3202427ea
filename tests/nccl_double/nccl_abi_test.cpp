// The double's declarations against NCCL's own, where they are installed.
#include "tests/nccl_double/nccl_abi.h"

#include <gtest/gtest.h>

#if __has_include(<nccl.h>)
#include <nccl.h>

namespace xbench::nccl {

static_assert(sizeof(UniqueId) == sizeof(ncclUniqueId));
static_assert(offsetof(Config, magic) == offsetof(ncclConfig_t, magic));
static_assert(offsetof(Config, blocking) == offsetof(ncclConfig_t, blocking));

TEST(NcclAbi, IsThatOfNccl) {
    EXPECT_EQ(int{ncclRemoteError}, remote_error);
    EXPECT_EQ(int{ncclInProgress}, in_progress);
    EXPECT_EQ(int{ncclInvalidUsage}, invalid_usage);
    EXPECT_EQ(int{ncclInt32}, type_i32);
    EXPECT_EQ(int{ncclUint8}, type_u8);
    EXPECT_EQ(int{ncclInt64}, type_i64);
    EXPECT_EQ(int{ncclFloat16}, type_f16);
    EXPECT_EQ(int{ncclFloat32}, type_f32);
    EXPECT_EQ(int{ncclFloat64}, type_f64);
    EXPECT_EQ(int{ncclBfloat16}, type_bf16);
    EXPECT_EQ(int{ncclSum}, sum);
    EXPECT_EQ(int{ncclMax}, maximum);
    EXPECT_EQ(int{ncclAvg}, average);
    const ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    EXPECT_EQ(config.magic, config_magic);
}

}  // namespace xbench::nccl
#else
TEST(NcclAbi, IsThatOfNccl) { GTEST_SKIP() << "no nccl.h here"; }
#endif
