/* Whose clock stamps the directories of a file system: what a time proves depends on it. */
#ifdef __linux__
#include "walk.h"

#include <linux/magic.h>
#include <sys/vfs.h>

/* Not in every version of linux/magic.h. */
enum { XFS_MAGIC = 0x58465342, ZFS_MAGIC = 0x2fc12fc1 };

enum fo_clock fo_walk_clock(int fd) {
    struct statfs status;
    if (fstatfs(fd, &status) != 0) {
        return FO_CLOCK_NONE;
    }
    switch ((unsigned int)status.f_type) {
    case EXT4_SUPER_MAGIC:
    case (unsigned int)XFS_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case F2FS_SUPER_MAGIC:
    case (unsigned int)ZFS_MAGIC:
    case RAMFS_MAGIC:
        return FO_CLOCK_OWN;
    case OVERLAYFS_SUPER_MAGIC: /* what is below one may be anywhere */
    case NFS_SUPER_MAGIC:
        return FO_CLOCK_FOREIGN;
    default: /* /proc, and whatever a FUSE server makes up */
        return FO_CLOCK_NONE;
    }
}
#else
#include "walk.h"

enum fo_clock fo_walk_clock(int fd) {
    (void)fd;
    return FO_CLOCK_FOREIGN;
}
#endif
