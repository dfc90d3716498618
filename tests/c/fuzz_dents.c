/* libFuzzer: whatever bytes the parser of directory records is given, it stays inside them and ends.
 * Build and run: make fuzz (clang). */
#include <stdlib.h>
#include <string.h>

#include "dents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fo_dent dent;
    size_t offset = 0;
    char *copy = malloc(size + 1); /* exactly as long as what is read, so that a byte more is found */
    memcpy(copy, data, size);
    copy = realloc(copy, size > 0 ? size : 1);
    while (fo_dents_parse(copy, size, &offset, &dent) > 0) {
        if (dent.name < copy || dent.name + dent.name_length >= copy + size || strlen(dent.name) != dent.name_length ||
            dent.name_length == 0 || memchr(dent.name, '/', dent.name_length) != NULL || offset > size) {
            abort();
        }
    }
    free(copy);
    return 0;
}
