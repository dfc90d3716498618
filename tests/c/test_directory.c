/* directory.c, directory_list.c, link.c and permission.c, in a directory of their own. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "check.h"

static char scratch[] = "/tmp/fastos-directory-XXXXXX";

static void enter(void) {
    CHECK(mkdtemp(scratch) != NULL);
    CHECK_EQ(fo_directory_chdir(scratch), 0);
}

static void leave(void) {
    CHECK_EQ(fo_directory_chdir("/"), 0);
    CHECK_EQ(fo_directory_rmdir(fo_descriptor_cwd(), scratch), 0);
}

TEST(make_list_remove) {
    enter();
    int cwd = fo_descriptor_cwd();
    char path[4096], small[2];
    CHECK_EQ(fo_directory_getcwd(path, sizeof(path)), (long)strlen(path));
    CHECK_EQ(fo_directory_getcwd(small, sizeof(small)), -ERANGE);
    CHECK_EQ(fo_directory_mkdir(cwd, "one", 0700), 0);
    CHECK_EQ(fo_directory_mkdir(cwd, "one", 0700), -EEXIST);
    CHECK_EQ(fo_directory_rename(cwd, "one", cwd, "two"), 0);
    struct fo_directory_names names;
    int fd = open(".", O_RDONLY | O_CLOEXEC);
    for (int turn = 0; turn < 3; turn++) {
        CHECK_EQ(turn ? fo_directory_list_fd(fd, &names) : fo_directory_list(".", &names), 0);
        CHECK_EQ(names.count, 1);
        CHECK_EQ(names.length, 4);
        CHECK(strcmp(names.names, "two") == 0);
        CHECK_EQ(fo_directory_free(&names), 0);
    }
    CHECK_EQ(fo_directory_fchdir(fd), 0);
    close(fd);
    CHECK_EQ(fo_directory_list("missing", &names), -ENOENT);
    CHECK_EQ(fo_directory_list_fd(-1, &names), -EBADF);
    CHECK_EQ(fo_directory_rmdir(cwd, "two"), 0);
    leave();
}

TEST(a_large_directory_makes_the_heap_grow) {
    enter();
    int cwd = fo_descriptor_cwd();
    char name[64];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "a name of usual length, number %d", i);
        CHECK_EQ(fo_directory_mkdir(cwd, name, 0700), 0);
    }
    struct fo_directory_names names;
    CHECK_EQ(fo_directory_list(".", &names), 0);
    CHECK_EQ(names.count, 500);
    for (const char *at = names.names; at < names.names + names.length; at += strlen(at) + 1) {
        CHECK_EQ(fo_directory_rmdir(cwd, at), 0);
    }
    CHECK_EQ(fo_directory_free(&names), 0);
    leave();
}

TEST(links_and_modes) {
    enter();
    int cwd = fo_descriptor_cwd();
    char target[8];
    CHECK_EQ(close(open("file", O_CREAT | O_WRONLY, 0600)), 0);
    CHECK_EQ(fo_link_symlink("file", cwd, "symbolic"), 0);
    CHECK_EQ(fo_link_readlink(cwd, "symbolic", target, sizeof(target)), 4);
    CHECK_EQ(fo_link_readlink(cwd, "file", target, sizeof(target)), -EINVAL);
    CHECK_EQ(fo_link_link(cwd, "symbolic", cwd, "hard", 1), 0);
    struct stat found;
    CHECK_EQ(stat("hard", &found), 0);
    CHECK_EQ(found.st_nlink, 2);
    CHECK_EQ(fo_permission_chmod(cwd, "file", 0644, 0), 0);
    CHECK_EQ(fo_permission_access(cwd, "file", R_OK, FO_PERMISSION_EFFECTIVE), 0);
    CHECK_EQ(fo_permission_access(cwd, "file", X_OK, 0), -EACCES);
    CHECK_EQ(fo_permission_chown(cwd, "symbolic", (uint32_t)-1, (uint32_t)-1, FO_PERMISSION_NOFOLLOW), 0);
    int former = fo_permission_umask(027);
    CHECK_EQ(fo_permission_umask(former), 027);
    CHECK_EQ(fo_directory_unlink(cwd, "symbolic"), 0);
    CHECK_EQ(fo_directory_unlink(cwd, "hard"), 0);
    CHECK_EQ(fo_directory_unlink(cwd, "file"), 0);
    CHECK_EQ(fo_directory_unlink(cwd, "file"), -ENOENT);
    leave();
}

MAIN(RUN(make_list_remove), RUN(a_large_directory_makes_the_heap_grow), RUN(links_and_modes))
