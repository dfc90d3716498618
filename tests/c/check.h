/* The smallest harness that does: every test runs in a process of its own, so a crash is one failure.
 *
 *     TEST(name) { CHECK(1 + 1 == 2); }
 *     MAIN(RUN(name), RUN(other))
 */
#ifndef FASTOS_CHECK_H
#define FASTOS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct check_test {
    const char *name;
    void (*run)(void);
};

#define TEST(name) static void test_##name(void)
#define RUN(name) {#name, test_##name}

#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #condition);      \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

#define CHECK_EQ(left, right)                                                                  \
    do {                                                                                       \
        long long left_value = (long long)(left), right_value = (long long)(right);            \
        if (left_value != right_value) {                                                       \
            fprintf(stderr, "%s:%d: CHECK_EQ failed: %s is %lld, %s is %lld\n", __FILE__,      \
                    __LINE__, #left, left_value, #right, right_value);                         \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

static inline int check_run(const struct check_test *tests, size_t count, const char *file) {
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            tests[i].run();
            exit(0);
        }
        int status = 0;
        if (waitpid(pid, &status, 0) != pid || status != 0) {
            fprintf(stderr, "FAIL %s (status 0x%x)\n", tests[i].name, status);
            failed++;
        }
    }
    printf("%s: %zu passed, %zu failed\n", file, count - failed, failed);
    return failed != 0;
}

#define MAIN(...)                                                                              \
    int main(void) {                                                                           \
        static const struct check_test tests[] = {__VA_ARGS__};                                \
        return check_run(tests, sizeof(tests) / sizeof(tests[0]), __FILE__);                   \
    }

#endif
