/* File metadata with fixed-width fields, the same on every platform. */

/* What an entry is; d_type and the format bits of st_mode map onto it. */
enum fo_type {
    FO_TYPE_UNKNOWN = 0,
    FO_TYPE_FILE = 1,
    FO_TYPE_DIRECTORY = 2,
    FO_TYPE_SYMLINK = 3,
    FO_TYPE_FIFO = 4,
    FO_TYPE_SOCKET = 5,
    FO_TYPE_CHAR = 6,
    FO_TYPE_BLOCK = 7
};

/* What a caller wants to know; the smaller the mask, the less a network file system has to ask its server. */
enum fo_stat_mask {
    FO_STAT_TYPE = 1,
    FO_STAT_MODE = 2,
    FO_STAT_NLINK = 4,
    FO_STAT_UID = 8,
    FO_STAT_GID = 16,
    FO_STAT_ATIME = 32,
    FO_STAT_MTIME = 64,
    FO_STAT_CTIME = 128,
    FO_STAT_INO = 256,
    FO_STAT_SIZE = 512,
    FO_STAT_BLOCKS = 1024,
    FO_STAT_BTIME = 2048,
    FO_STAT_DEV = 4096,
    FO_STAT_BASIC = 6143,
    FO_STAT_ALL = 8191
};

/* Times are nanoseconds since the epoch, saturated to 64 bits; btime_ns is -1 where it is not known.
 * size in bytes, blocks of 512 bytes. */
struct fo_stat {
    int64_t size;
    int64_t blocks;
    uint64_t ino;
    uint64_t dev;
    uint64_t rdev;
    int64_t atime_ns;
    int64_t mtime_ns;
    int64_t ctime_ns;
    int64_t btime_ns;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint32_t nlink;
    uint32_t blksize;
};

/* Reads the metadata of path relative to dir_fd (AT_FDCWD for the working directory). flags: 0,
 * AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH; an automount is never triggered. Fields outside mask may be filled or zero.
 * The answer is as fresh as stat(2)'s. Returns 0 or -errno. */
int fo_stat_at(int dir_fd, const char *path, int flags, uint32_t mask, struct fo_stat *out);

/* Returns the FO_TYPE_* of a mode. */
int fo_stat_type(uint32_t mode);
