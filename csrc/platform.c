/* Which engine runs. The choice is made once, when the backend is loaded, and only read afterwards. */
#include <errno.h>

#include "api.h"

#ifdef __linux__
static int engine_in_use = FO_ENGINE_NATIVE;
#else
static int engine_in_use = FO_ENGINE_POSIX;
#endif

int fo_platform_use(int engine) {
    if (engine != FO_ENGINE_NATIVE && engine != FO_ENGINE_POSIX) {
        return -EINVAL;
    }
#ifdef __linux__
    engine_in_use = engine;
#endif
    return 0;
}

int fo_platform_engine(void) {
    return engine_in_use;
}
