/* Metadata of many paths in one call, in columns. */

/* One array a field, NULL for a field that is not asked for; element i belongs to path i. */
struct fo_stat_columns {
    int64_t *size, *blocks, *atime_ns, *mtime_ns, *ctime_ns, *btime_ns;
    uint64_t *ino, *dev, *rdev;
    uint32_t *mode, *uid, *gid, *nlink, *blksize;
    uint8_t *type; /* FO_TYPE_* */
};

/* Reads the metadata of count paths, each ended by a NUL, relative to dir_fd, with so many threads (>= 1). flags and
 * mask as for fo_stat_at. error[i] becomes 0 or an errno; then path i's fields are zero, btime_ns -1.
 * Returns how many paths failed, or -ENOMEM. */
int64_t fo_stat_many(int dir_fd, const char *paths, size_t count, int flags, uint32_t mask, int threads,
                     struct fo_stat_columns *out, int32_t *error);
