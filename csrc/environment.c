/* The C library's environment. */
#define _GNU_SOURCE 1
#include <stdlib.h>

#include "api.h"
#include "result.h"

int fo_environment_putenv(const char *name, const char *value) {
    return fo_result(setenv(name, value, 1));
}

int fo_environment_unsetenv(const char *name) {
    return fo_result(unsetenv(name));
}
