#include <errno.h>

#include "api.h"
#include "check.h"

TEST(unknown_engine_is_refused) {
    CHECK_EQ(fo_platform_use(7), -EINVAL);
}

TEST(posix_engine_can_be_forced) {
    CHECK_EQ(fo_platform_use(FO_ENGINE_POSIX), 0);
    CHECK_EQ(fo_platform_engine(), FO_ENGINE_POSIX);
}

MAIN(RUN(unknown_engine_is_refused), RUN(posix_engine_can_be_forced))
