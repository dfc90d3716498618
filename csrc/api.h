/* The boundary between the C core and its callers.
 *
 * Every function returns >= 0 or -errno, none calls back, and none needs an interpreter.
 *
 * Map of the core:
 *   platform.c      which engine runs: the platform's own system calls or the portable ones
 */
#ifndef FASTOS_API_H
#define FASTOS_API_H

#include <stddef.h>
#include <stdint.h>

#include "api/platform.h"

#endif
