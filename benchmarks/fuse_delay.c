/* A FUSE file system whose every operation takes a settable time: what a network volume feels like.
 *
 *   fuse_delay [-o delay_us=1000] [-o unknown] [-o hang=NAME] [-o tops=20] [-o subs=66] [-o files=15] MOUNTPOINT
 *
 * A synthetic tree: TOPS directories of SUBS directories each, FILES files in every one of these (not in the root); with
 * the defaults 1,340 directories and 20,100 files. Nothing is stored: a node's number says what it is.
 * lookup, getattr, opendir and readdir take delay_us microseconds each, side by side in as many threads as ask.
 *   unknown    readdir says DT_UNKNOWN for every entry, as some network file systems do
 *   hang=NAME  opendir of a top directory of that name, or lookup of a file of that name in top0000, never answers, until
 *              the file system is unmounted
 */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 128 }; /* operations that wait at once: more than any peer has in flight */

struct options {
    unsigned delay_us, tops, subs, files;
    int unknown;
    const char *hang;
};

static struct options options = {.delay_us = 0, .tops = 20, .subs = 66, .files = 15};

#define OPTION(text, member) {text, offsetof(struct options, member), 1}
static const struct fuse_opt option_table[] = {
    OPTION("delay_us=%u", delay_us), OPTION("tops=%u", tops), OPTION("subs=%u", subs), OPTION("files=%u", files),
    OPTION("unknown", unknown),      OPTION("hang=%s", hang), FUSE_OPT_END,
};

/* Numbers: 1 is the root; then the top directories, the sub-directories, and the files of each directory in turn. */
static unsigned directories(void)
{
    return options.tops * (1 + options.subs);
}

static int is_directory(fuse_ino_t node)
{
    return node <= 1 + directories();
}

static int exists(fuse_ino_t node)
{
    return node >= 1 && node <= 1 + directories() + (fuse_ino_t)directories() * options.files;
}

static int is_top(fuse_ino_t node)
{
    return node >= 2 && node < 2 + options.tops;
}

static fuse_ino_t first_sub(fuse_ino_t top)
{
    return 2 + options.tops + (top - 2) * options.subs;
}

static fuse_ino_t first_file(fuse_ino_t directory)
{
    return 2 + directories() + (directory - 2) * options.files;
}

static unsigned child_directories(fuse_ino_t directory)
{
    return directory == 1 ? options.tops : is_top(directory) ? options.subs : 0;
}

static unsigned children(fuse_ino_t directory)
{
    return child_directories(directory) + (directory == 1 ? 0 : options.files);
}

/* The child at a position of a directory, and its name. */
static fuse_ino_t child(fuse_ino_t directory, unsigned position, char name[32])
{
    unsigned below = child_directories(directory);
    if (position >= below) {
        snprintf(name, 32, "file%05u.dat", position - below);
        return first_file(directory) + position - below;
    }
    snprintf(name, 32, directory == 1 ? "top%04u" : "sub%05u", position);
    return (directory == 1 ? 2 : first_sub(directory)) + position;
}

static fuse_ino_t find_child(fuse_ino_t directory, const char *name)
{
    unsigned position;
    char expected[32];
    if (sscanf(name, "top%u", &position) != 1 && sscanf(name, "sub%u", &position) != 1) {
        if (sscanf(name, "file%u", &position) != 1)
            return 0;
        position += child_directories(directory);
    }
    if (position >= children(directory))
        return 0;
    fuse_ino_t node = child(directory, position, expected);
    return strcmp(expected, name) ? 0 : node;
}

static struct stat status_of(fuse_ino_t node)
{
    struct stat status = {.st_ino = node, .st_uid = getuid(), .st_gid = getgid(), .st_blksize = 4096};
    status.st_mode = is_directory(node) ? S_IFDIR | 0755 : S_IFREG | 0644;
    status.st_nlink = is_directory(node) ? 2 + child_directories(node) : 1;
    status.st_size = is_directory(node) ? 4096 : (off_t)(node % 10000);
    status.st_blocks = (status.st_size + 511) / 512;
    status.st_mtim.tv_sec = 1700000000;
    return status;
}

static void delay(void)
{
    struct timespec left = {options.delay_us / 1000000, options.delay_us % 1000000 * 1000L};
    while (options.delay_us && nanosleep(&left, &left) && errno == EINTR)
        ;
}

static void serve_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    if (parent == 2 && options.hang && !is_directory(find_child(parent, name)) && !strcmp(name, options.hang))
        return;
    delay();
    struct fuse_entry_param entry = {.ino = find_child(parent, name)};
    if (!entry.ino) {
        fuse_reply_err(request, ENOENT);
        return;
    }
    entry.attr = status_of(entry.ino);
    fuse_reply_entry(request, &entry);
}

static void serve_getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *file)
{
    (void)file;
    delay();
    struct stat status = status_of(node);
    if (exists(node))
        fuse_reply_attr(request, &status, 0);
    else
        fuse_reply_err(request, ENOENT);
}

static int hangs(fuse_ino_t node)
{
    char name[32];
    if (!options.hang || !is_top(node))
        return 0;
    child(1, (unsigned)node - 2, name);
    return !strcmp(name, options.hang);
}

static void serve_opendir(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *file)
{
    if (hangs(node))
        return; /* no reply: the caller waits until the unmount aborts the connection */
    delay();
    fuse_reply_open(request, file);
}

/* Adds the entry at a position (0 and 1 are the dots); returns its length in the buffer. */
static size_t add_entry(fuse_req_t request, char *buffer, size_t room, fuse_ino_t node, unsigned position)
{
    char name[32];
    fuse_ino_t number = node;
    if (position < 2)
        snprintf(name, sizeof name, position ? ".." : ".");
    else
        number = child(node, position - 2, name);
    struct stat status = status_of(number);
    if (options.unknown)
        status.st_mode = 0;
    return fuse_add_direntry(request, buffer, room, name, &status, position + 1);
}

static void serve_readdir(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *file)
{
    (void)file;
    delay();
    char *buffer = malloc(size);
    size_t used = 0;
    for (unsigned position = (unsigned)offset; buffer && position < children(node) + 2; position++) {
        size_t length = add_entry(request, buffer + used, size - used, node, position);
        if (length > size - used)
            break;
        used += length;
    }
    fuse_reply_buf(request, buffer, used);
    free(buffer);
}

static const struct fuse_lowlevel_ops operations = {
    .lookup = serve_lookup, .getattr = serve_getattr, .opendir = serve_opendir, .readdir = serve_readdir};

static int serve(struct fuse_session *session, const char *mountpoint)
{
    if (fuse_session_mount(session, mountpoint))
        return 1;
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_max_threads(config, THREADS);
    fuse_loop_cfg_set_idle_threads(config, THREADS);
    int result = fuse_set_signal_handlers(session) ? 1 : fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    fuse_session_unmount(session);
    return result != 0;
}

int main(int count, char **arguments)
{
    struct fuse_args args = FUSE_ARGS_INIT(count, arguments);
    struct fuse_cmdline_opts command = {0};
    if (fuse_opt_parse(&args, &options, option_table, NULL) || fuse_parse_cmdline(&args, &command) ||
        !command.mountpoint) {
        fprintf(stderr, "usage: fuse_delay [-o delay_us=N,unknown,hang=NAME,tops=N,subs=N,files=N] MOUNTPOINT\n");
        return 2;
    }
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
    int result = session ? serve(session, command.mountpoint) : 1;
    if (session)
        fuse_session_destroy(session);
    free(command.mountpoint);
    fuse_opt_free_args(&args);
    return result;
}
